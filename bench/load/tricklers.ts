// Load: clients that put their messages on the followers in small pieces, until they are told to end. Those that are hostile earn the leader's trust by
// as many uploads as that takes, and then are late with one: the leader is to wait for it; or they put other entries on the followers than they append.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANNOUNCE_EARNED_HITS, ANNOUNCE_WAIT_MS } from '../../src/core/uploadLimits.ts';
import { encodeUpload } from '../../src/protocol/uploads.ts';
import { frameEntries } from '../../test/server/support/entries.ts';
import { RawClient } from '../../test/server/support/rawClient.ts';
import type { Lane } from './lane.ts';
import { mustEnd, openLanes, program } from './program.ts';
import type { TricklersParams, TricklersResult } from './types.ts';

const PIECES = 4;
const ALL_NODES = 0x7f;

class Trickler {
  readonly #leader: RawClient;
  readonly #followers: readonly RawClient[];
  readonly #params: TricklersParams;
  readonly #lane: Lane;
  #trust = 0;
  late = 0;

  private constructor(params: TricklersParams, lane: Lane, clients: readonly RawClient[]) {
    const leader = clients[params.leader];
    if (leader === undefined) throw new Error('there is no leader');
    this.#params = params;
    this.#lane = lane;
    this.#leader = leader;
    this.#followers = clients.filter((client) => client !== leader);
  }

  static async connect(params: TricklersParams, lane: Lane): Promise<Trickler> {
    const clients = await Promise.all(params.log.urls.map((url) => RawClient.connect(url)));
    await Promise.all(clients.map((client) => client.introduceUploads()));
    return new Trickler(params, lane, clients);
  }

  /** One append. Whatever was uploaded, the log has what the append says. */
  async appendOne(): Promise<void> {
    const { payloadBytes, manner, periodMs } = this.#params;
    const id = randomBytes(16);
    const entries = frameEntries([this.#lane.next()], []);
    const uploaded = manner === 'lying' ? frameEntries([randomBytes(payloadBytes)], []) : entries;
    const isLate = manner === 'late' && this.#trust >= ANNOUNCE_EARNED_HITS;
    const requestIds = this.#followers.map((client) => client.newId());
    const piece = Math.ceil(entries.length / PIECES);
    let appended: Promise<unknown> | undefined;
    for (let at = 0; at < entries.length; at += piece) {
      const isLast = at + piece >= entries.length;
      if (isLast && isLate) {
        appended = this.#leader.appendUploaded(id, ALL_NODES, entries, 1);
        await sleep(2 * ANNOUNCE_WAIT_MS);
      }
      for (const [i, client] of this.#followers.entries()) {
        client.send(encodeUpload(requestIds[i] ?? 0, id, at, entries.length, uploaded.subarray(at, at + piece)));
      }
      await sleep(periodMs / PIECES);
    }
    await (appended ?? this.#leader.appendUploaded(id, ALL_NODES, entries, 1));
    this.#lane.acknowledgedTo(this.#lane.sent);
    this.#trust = isLate ? 0 : this.#trust + 1;
    if (isLate) this.late += 1;
  }

  close(): void {
    for (const client of [this.#leader, ...this.#followers]) client.terminate();
  }
}

program('tricklers', async (params: TricklersParams): Promise<TricklersResult> => {
  let appends = 0;
  const lanes = openLanes(params.log, params.payloadBytes, params.connections);
  const tricklers = await Promise.all(lanes.map((lane) => Trickler.connect(params, lane)));
  await Promise.all(
    tricklers.map(async (trickler) => {
      // They do not all come at once.
      await sleep(Math.random() * params.periodMs);
      for (; !mustEnd(); appends++) await trickler.appendOne();
    }),
  );
  for (const trickler of tricklers) trickler.close();
  return { appends, late: tricklers.reduce((sum, { late }) => sum + late, 0) };
});
