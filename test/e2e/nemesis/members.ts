// The set of nodes changes while everything else goes wrong: nodes leave it for good, and others come with empty disks in their places; voters are only fed
// for a while, and offices are handed over. All of it by a client, as `loglog member` does it; what that says must be so.

import type { LogClient, LogMember, LogMembers, MembersChange } from '../../../src/client/index.ts';
import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import { type ErrorCode, LogError } from '../../../src/core/errors.ts';
import { choose, type Fault, type Lane, type NemesisContext, sample } from './schedule.ts';

/** Those that change the set. */
export const MEMBER_CHANGES = ['change a disk', 'demote', 'replace'] as const;
type MemberChange = (typeof MEMBER_CHANGES)[number];
type Kind = MemberChange | 'transfer';

/** With fewer, one that is out would be needed for a majority. */
export const FEWEST_NODES = 3;
/** So long may a change take once nothing else goes wrong any more, on a machine that has other things to do. */
const PATIENCE_MS = 240_000;
const ASK_MS = 10_000;
const PAUSE_MS = 300;

/** What a change may be refused with, or end with, as long as nodes die, stand still and are cut off. Later it is done. */
const PASSING = new Set<string>([
  'NO_MAJORITY',
  'CHANGE_IN_PROGRESS',
  'NOT_READY',
  'NOT_LEADER',
  'UNREACHABLE',
  'CONNECTION_LOST',
  'SHUTTING_DOWN',
  'TIMEOUT',
  'TOO_MANY_REQUESTS',
  'OVERLOADED',
]);

type Role = LogMember['role'] | 'none';

function roleOf(id: number, { members }: LogMembers): Role {
  return members.find((member) => member.id === id)?.role ?? 'none';
}

export class MemberLane implements Lane {
  readonly #context: NemesisContext;
  readonly #client: LogClient;

  constructor(context: NemesisContext, client: LogClient) {
    this.#context = context;
    this.#client = client;
  }

  restMs(): number {
    return 300 + this.#context.random.below(2_500);
  }

  async next(): Promise<Fault | undefined> {
    const { random, cluster, schedule } = this.#context;
    const kind = choose<Kind>(random, [
      [3, 'change a disk'],
      [2, 'demote'],
      [2, 'replace'],
      [2, 'transfer'],
    ]);
    const [some, other] = sample(random, cluster.nodes, 2);
    const durationMs = random.below(1_500);
    const asReader = random.oneIn(3);
    const leader = random.oneIn(3) ? await cluster.findLeader() : undefined;
    const node = leader === undefined || leader === other ? some : leader;
    if (node === undefined || other === undefined) return undefined;
    if (kind === 'transfer')
      return { name: kind, sentence: `transfer: to node ${other.id}, if it can lead`, happen: () => this.#transfer(other.id) };
    const isBusy = kind !== 'demote' && !(schedule.isFree(node) && node.isRunning && !node.isPaused);
    if (schedule.isSetTaken || isBusy) return undefined;
    const what: Readonly<Record<MemberChange, readonly [sentence: string, work: () => Promise<void>]>> = {
      'change a disk': [
        `change a disk: node ${node.id}${node === leader ? ', the leader,' : ''} is removed, and comes again with an empty disk${asReader ? ', at first to stay a learner' : ''}`,
        () => this.#out(node, asReader, durationMs, () => this.#remove(node.id)),
      ],
      demote: [`demote: node ${other.id} does not count for ${durationMs} ms`, () => this.#demote(other.id, durationMs)],
      replace: [
        `replace: node ${other.id} is demoted, and takes the place of node ${node.id}, which comes again with an empty disk`,
        () => this.#replace(node, other.id, durationMs),
      ],
    };
    const [sentence, work] = what[kind];
    return { name: kind, sentence, happen: () => schedule.takeSet(work) };
  }

  /** Where it cannot be done now it is not done; nothing is lost by that. */
  async #transfer(to: number): Promise<void> {
    try {
      await this.#client.transfer({ to, timeoutMs: ASK_MS });
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      this.#context.tell(`transfer: ${thrown.message}`);
    }
  }

  async #demote(id: number, durationMs: number): Promise<void> {
    await this.#ask(`demote node ${id}`, 'ALREADY_MEMBER', id, 'reader', (how) => this.#client.demoteMember(id, how));
    await this.#context.schedule.wait(durationMs);
    await this.#promote(id);
  }

  async #promote(id: number): Promise<void> {
    await this.#ask(`promote node ${id}`, 'ALREADY_MEMBER', id, 'voter', (how) => this.#client.promoteMember(id, how));
  }

  async #remove(id: number): Promise<void> {
    await this.#ask(`remove node ${id}`, 'UNKNOWN_MEMBER', id, 'none', (how) => this.#client.removeMember(id, how));
  }

  async #replace(old: ClusterNode, next: number, durationMs: number): Promise<void> {
    await this.#ask(`demote node ${next}`, 'ALREADY_MEMBER', next, 'reader', (how) => this.#client.demoteMember(next, how));
    await this.#out(old, false, durationMs, async () => {
      const what = `replace node ${old.id} by node ${next}`;
      await this.#ask(what, 'UNKNOWN_MEMBER', old.id, 'none', (how) => this.#client.replaceMember(old.id, next, how));
      await this.#promoted(next);
    });
  }

  /** The one that came in the place of another one counts, also when the answer was lost. */
  async #promoted(id: number): Promise<void> {
    const role = await this.#retry('list the nodes', async (how) => roleOf(id, await this.#client.members({ timeoutMs: how.timeoutMs })));
    if (role !== 'voter') throw new Error(`node ${id} took the place of another one, and is a ${role}`);
  }

  /** `node` leaves the set by `leave`, stops, loses its disk, and comes again. No other lane touches it before it runs again. */
  async #out(node: ClusterNode, asReader: boolean, durationMs: number, leave: () => Promise<void>): Promise<void> {
    const { schedule, cluster } = this.#context;
    await schedule.take([node], async () => {
      await leave();
      const { code, signal } = await node.stop();
      if (code !== 0) throw new Error(`node ${node.id}, which was removed, ended with ${code ?? signal}: ${node.lastWords()}`);
      cluster.wipe(node);
      await schedule.wait(durationMs);
      node.start();
      await node.ready;
    });
    const { host, port, peerPort } = cluster.addressOf(node.id);
    const member = { id: node.id, host, port, peerPort, learner: asReader };
    const role = asReader ? 'reader' : 'voter';
    await this.#ask(`add node ${node.id}`, undefined, node.id, role, (how) => this.#client.addMember(member, how));
    if (asReader) await this.#promote(node.id);
  }

  /**
   * Asks for a change until it is made. `done`: what it is refused with when it was made before, which only an attempt whose end is not known can have done;
   * undefined: it waits for that, too. Afterwards node `id` is `role`, by what the answer says.
   */
  async #ask(
    what: string,
    done: ErrorCode | undefined,
    id: number,
    role: Role,
    change: (how: How) => Promise<MembersChange>,
  ): Promise<void> {
    let mayBeDone = false;
    await this.#retry(what, async (how) => {
      try {
        const { after } = await change(how);
        if (roleOf(id, after) !== role) throw new Error(`${what}: it says that it is done, and that node ${id} is ${roleOf(id, after)}`);
        this.#context.tell(`${what}: done`);
      } catch (thrown) {
        if (!(thrown instanceof LogError) || !(thrown.code === done && mayBeDone)) {
          mayBeDone ||= !(thrown instanceof LogError) || thrown.outcome === 'unknown' || thrown.code === 'TIMEOUT';
          throw thrown;
        }
      }
    });
  }

  /** Until it succeeds, or fails with what cannot come of all that goes wrong. */
  async #retry<T>(what: string, work: (how: How) => Promise<T>): Promise<T> {
    const untilMs = Math.max(performance.now(), this.#context.schedule.endsAtMs) + PATIENCE_MS;
    for (;;) {
      try {
        return await work({ timeoutMs: ASK_MS, signal: AbortSignal.timeout(Math.max(1, Math.round(untilMs - performance.now()))) });
      } catch (thrown) {
        const isPassing = thrown instanceof LogError && PASSING.has(thrown.code) && performance.now() < untilMs;
        this.#context.tell(`${what}: ${String(thrown)}`);
        if (!isPassing) throw new Error(`${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

interface How {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}
