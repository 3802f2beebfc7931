// Puts and revokes tokens in the time of faults, by whoever leads, and asks for some in the directories of nodes, where the request may still be after the
// token was revoked. What is committed makes a table at each place; each node has in force what the table was at some place that is committed, and
// never an earlier one than before. Has chance of its own, so that a world without tokens is what it would be without this file.

import { ENTRY_HEADER_BYTES, KIND_ACCESS, KIND_STATE } from '../../assembly/layout.ts';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { toHex } from '../../src/core/bytes.ts';
import { type AccessChange, accessPayload, foldAccess, NO_ACCESS, readAccess, tokensIn } from '../../src/format/access.ts';
import { entryBytesOf, kindOf, payloadBytesOf } from '../../src/format/entry.ts';
import { readState } from '../../src/format/stateEntry.ts';
import { WORD } from '../../src/memory/map.ts';
import type { Engine } from '../../src/node/engine.ts';
import { writeFileAtomically } from '../../src/storage/disk.ts';
import { TOKEN_REQUEST_FILE } from '../../src/storage/names.ts';
import { encodeTokenRequest, type TokenRequest } from '../../src/storage/tokenRequest.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY } from './identity.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Seeds with tokens, of sixteen in a row: without trims, so that all of what is committed is looked at. */
const WITH_TOKENS = [2, 5, 11];
/** Up to so many times. */
const MOST = 40;

/** The tokens after an entry that ends at `end`. */
interface Version {
  readonly end: number;
  readonly tokens: string;
}

/** What a node had in force when it had `commit`. */
interface Seen {
  readonly who: string;
  readonly commit: number;
  readonly tokens: string;
}

/** What is in force: the ids, ascending. */
const textOf = (ids: Iterable<string>): string => [...ids].sort().join(' ');

/** What the entries that are committed say of tokens. */
export class TokenModel {
  #table: Uint8Array = NO_ACCESS;
  readonly #removed = new Set<string>();
  readonly versions: Version[] = [{ end: 0, tokens: '' }];

  /** The next entry that is committed: see `RetentionModel.take`. */
  take(view: DataView, at: number, kindSize: number, offset: number): void {
    const payloadAt = at + ENTRY_HEADER_BYTES;
    const bytes = payloadBytesOf(kindSize);
    if (kindOf(kindSize) === KIND_STATE) {
      const told = readState(view, payloadAt, bytes)?.access ?? NO_ACCESS;
      const isSame = toHex(told) === toHex(this.#table);
      const sentence = (): string =>
        `the segment at ${offset} says the tokens ${[...tokensIn(told).keys()]}, not ${this.versions.at(-1)?.tokens}`;
      promise(isSame || offset === 0, 'tokens', sentence);
      return;
    }
    if (kindOf(kindSize) !== KIND_ACCESS) return;
    const change = readAccess(view, payloadAt, bytes);
    promise(change !== undefined, 'tokens', () => `the entry at ${offset} says nothing of tokens that anybody writes`);
    const table = foldAccess(this.#table, change);
    promise(table !== this.#table, 'tokens', () => `the entry at ${offset} changes no token`);
    if (change.what === 'remove') this.#removed.add(change.id);
    else promise(!this.#removed.has(change.record.id), 'tokens', () => `the entry at ${offset} brings a revoked token back`);
    this.#table = table;
    this.versions.push({ end: offset + entryBytesOf(kindSize), tokens: textOf(tokensIn(table).keys()) });
  }
}

export class Tokens {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;
  readonly #ids: string[] = [];
  #count = 0;
  /** What each process had in force, in the order in which it did. */
  readonly #seen = new Map<Process, Seen[]>();

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x70_6b_65);
    this.isOn = WITH_TOKENS.includes(world.seed % 16);
  }

  /** How often nodes look for requests, and ask. */
  requestsOf(electionTimeoutMs: number): { lookMs: number; askMs: number } {
    return { lookMs: this.isOn ? electionTimeoutMs : 0, askMs: electionTimeoutMs / 4 };
  }

  start(): void {
    if (!this.isOn) return;
    const { profile, scheduler } = this.#world;
    for (let left = 5 + this.#random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * (20 + this.#random.below(900))) / 1000, () => this.#act());
    }
  }

  #act(): void {
    if (this.#random.oneIn(4)) this.#leaveRequest();
    else if (this.#random.oneIn(2) && this.#ids.length > 0)
      this.#ask({ what: 'remove', id: this.#ids[this.#random.below(this.#ids.length)] ?? '' });
    else this.#ask({ what: 'put', record: this.#draw(), isRequest: false });
  }

  #draw(): TokenRequest['record'] {
    this.#count += 1;
    const id = String(this.#count * 7919).padStart(11, '0');
    this.#ids.push(id);
    const name = 'n'.repeat(1 + this.#random.below(64));
    return { id, hash: '5a'.repeat(32), name, scopes: 1 + this.#random.below(63), createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS };
  }

  #ask(change: AccessChange): void {
    const { leader, trace, scheduler } = this.#world;
    const process = leader?.process;
    if (leader === undefined || process?.hasBegun !== true) return;
    trace.add(scheduler.nowMs, leader.id, `* ${change.what} token ${toHex(accessPayload(change).subarray(4, 24))}`);
    process.settles(0, 'token', () => {
      process.engine.access.request(change).then(
        () => undefined,
        () => undefined,
      );
    });
  }

  /** Whoever owns a node's directory leaves a request there, in place of one that waits. */
  #leaveRequest(): void {
    const node = this.#world.nodes[this.#random.below(this.#world.nodes.length)];
    const process = node?.process;
    if (node === undefined || process?.hasBegun !== true) return;
    const request: TokenRequest = { what: 'put', record: this.#draw(), isRequest: true };
    this.#world.trace.add(this.#world.scheduler.nowMs, node.id, `* asks for token ${request.record.id}`);
    process.diskThread.post(0, 'token request', () => {
      const temporary = `${DIRECTORY}/${TOKEN_REQUEST_FILE}.tmp`;
      if (node.disk.has(temporary)) node.disk.remove(temporary);
      writeFileAtomically(node.disk, DIRECTORY, TOKEN_REQUEST_FILE, encodeTokenRequest(request));
    });
  }

  /** Notes what the engine has in force, each time that it changes. */
  watch(engine: Engine, process: Process): void {
    if (!this.isOn) return;
    const seen: Seen[] = [];
    this.#seen.set(process, seen);
    engine.access.onChanged(() => {
      seen.push({ who: `node ${process.id}`, commit: engine.memory.commit, tokens: inForce(engine) });
    });
  }

  /** Whether all nodes have in force what the log has in the end, and no request waits; a log of level 0 has no tokens. */
  get isAgreed(): boolean {
    if (!this.isOn) return true;
    return this.#world.nodes.every(({ process, disk }) => {
      if (process?.hasBegun !== true) return true;
      const waits = process.memory.word(WORD.LOG_LEVEL) > 0 && disk.has(`${DIRECTORY}/${TOKEN_REQUEST_FILE}`);
      return inForce(process.engine) === this.#last && !waits;
    });
  }

  get #last(): string {
    return this.#world.checker.ledger.tokens.versions.at(-1)?.tokens ?? '';
  }

  /** At the end: what nodes had in force was committed by then, in this order; and all have the same now, unless they could not talk. */
  check(isWell: boolean): void {
    if (!this.isOn) return;
    const { versions } = this.#world.checker.ledger.tokens;
    for (const seen of this.#seen.values()) {
      let from = 0;
      for (const { who, commit, tokens } of seen) {
        const at = versions.findIndex((version, i) => i >= from && version.tokens === tokens);
        const had = `${who} had the tokens ${tokens} in force`;
        promise(at >= 0, 'tokens', () => `${had}, which the log never had, or had before what was in force before`);
        const { end = 0 } = versions[at] ?? {};
        promise(end <= commit, 'tokens', () => `${had}, which the log has from ${end} on, when it had only ${commit} as committed`);
        from = at;
      }
    }
    promise(
      !isWell || this.isAgreed,
      'tokens',
      () => `not all nodes have in force what the log has in the end, ${this.#last}, or a request for a token waits`,
    );
  }
}

/** What a node has in force. */
function inForce(engine: Engine): string {
  return textOf(engine.access.tokens.map(({ id }) => id));
}
