// Runs one seed from its beginning to its end, and says what came of it.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { checkHistory } from '../../src/history/check.ts';
import type { MemoryShape } from '../../src/memory/map.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory as Memory, type TailMemory } from '../../src/memory/tailMemory.ts';
import { segmentName } from '../../src/storage/names.ts';
import { losesEverywhere } from './commonDamage.ts';
import { failOver } from './failover.ts';
import { NOTICED_ELECTIONS } from './fullDisks.ts';
import { DIRECTORY } from './identity.ts';
import { encodeEntries } from './payloads.ts';
import { forEachPiece } from './pieces.ts';
import type { SimNode } from './simNode.ts';
import { endUploads } from './uploads.ts';
import { type Invariant, promise, Violation } from './violation.ts';
import { World } from './world.ts';

export interface Failure {
  readonly invariant: Invariant;
  readonly sentence: string;
  readonly atMs: number;
  readonly lines: readonly string[];
}

export interface Outcome {
  readonly seed: number;
  readonly hash: number;
  readonly steps: number;
  readonly virtualMs: number;
  /** Bytes committed, terms with a leader, operations of clients. */
  readonly committedBytes: number;
  readonly terms: number;
  readonly operations: number;
  /**
   * How long after the death of a leader, when all was well, the next one committed: in election timeouts of the slowest clock. Undefined
   * where none died, or votes are split more often than usual.
   */
  readonly failoverElections: number | undefined;
  /** Whether another node led soon after a leader had stopped in order, when all was well; undefined where none did. */
  readonly handedOver: boolean | undefined;
  readonly failure: Failure | undefined;
}

/** More than any simulation takes that ends. */
const MAX_STEPS = 400_000;
/**
 * In how many election timeouts a cluster makes progress: the death of the leader when all is well, as GUARANTEES says; when all was mended
 * after much chaos; a majority alone, on a network that loses and delays as before; one whose leader has to notice that its disk or its main
 * thread hangs.
 */
const PROGRESS_ELECTIONS = { death: 12, mended: 15, majority: 20, hung: 30 } as const;
/** Where nodes draw their timeouts from a tenth of the range, or are more than five, votes are split again and again. */
const SPLIT_ELECTIONS = 60;
const MOST_NODES = 5;
/** Mended nodes become the same within so many election timeouts. */
const CONVERGENCE_ELECTIONS = 120;
/** How long a cluster that has too few voters for a majority is looked at. */
const STUCK_ELECTIONS = 20;

const memories = new Map<string, TailMemory>();

/** Memories are used again: making one takes longer than many simulations. */
function memoryFor(index: number, shape: MemoryShape): TailMemory {
  const key = `${index} ${shape.slots} ${shape.segmentBytes}`;
  const memory = memories.get(key) ?? Memory.create(shape);
  memories.set(key, memory);
  return memory;
}

export interface SimulationOptions {
  readonly seed: number;
  /** Trace lines to keep for a failure; infinity for all. */
  readonly keepLines?: number;
}

export async function simulate({ seed, keepLines = 0 }: SimulationOptions): Promise<Outcome> {
  const world = new World({ seed, keepLines, memoryFor });
  let failure: Failure | undefined;
  let end: Partial<WellEnd> = {};
  try {
    end = await runWorld(world);
  } catch (thrown) {
    if (!(thrown instanceof Violation)) throw thrown;
    const { invariant, message: sentence } = thrown;
    failure = { invariant, sentence, atMs: world.scheduler.nowMs, lines: world.trace.lines() };
  }
  const { appends, ends, reads, deliveries } = world.history;
  return {
    seed,
    hash: world.trace.hash,
    steps: world.scheduler.steps,
    virtualMs: world.scheduler.nowMs,
    committedBytes: world.checker.ledger.end - world.start,
    terms: world.checker.ledger.electedTerms,
    operations: appends.length + ends.length + reads.length + deliveries.length,
    failoverElections: end.failoverElections,
    handedOver: end.handedOver,
    failure,
  };
}

/** Until producers have all answers. */
const ANSWERED_ELECTIONS = 100;
/** Until all nodes have the same tokens in force. */
const AGREED_ELECTIONS = 20;

/** What leaders did at the end, when all was well. */
type WellEnd = Pick<Outcome, 'failoverElections' | 'handedOver'>;

async function runWorld(world: World): Promise<Partial<WellEnd>> {
  const { profile, nemesis, nodes, clients, network } = world;
  world.begin();
  await runFor(world, profile.chaosMs);
  world.grow();
  world.oldCopies.stop();
  world.openDamages.stop();
  nemesis.stop();
  world.refusals.end();
  world.operator.end();
  world.segmentSizes.end();
  world.fullDisks.end();
  world.nodeChanges.end();
  world.upgrades.end();
  // A leader whose disk hangs next does not see that there is room, and its hang would be seen only by what it orders.
  if (world.fullDisks.isOn) await runFor(world, NOTICED_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread);
  const core = drawCore(world);
  if (core !== undefined) {
    nemesis.heal(core);
    const { leader } = world;
    const isHung = leader !== undefined && !core.includes(leader) && world.random.oneIn(2);
    if (isHung) nemesis.hang(leader, core);
    const isMainHung = !isHung && leader !== undefined && !core.includes(leader) && world.hangs.draws;
    if (isMainHung) nemesis.hangMain(leader, core);
    // A leader whose disk hangs goes on until its memory is full.
    await progresses(world, core, isHung ? LARGE : SMALL, isHung || isMainHung ? 'hung' : 'majority');
  }
  network.isCalm = true;
  nemesis.heal(nodes);
  if (world.lacksVoters) {
    // Nobody can be elected, and nobody is, however long it lasts: what was committed stays out of service rather than being forgotten.
    await runFor(world, STUCK_ELECTIONS * profile.electionTimeoutMs);
    for (const client of clients) client.stop();
    world.sessions.stop();
    for (const client of clients) client.disconnect('the simulation ended');
    world.tokens.check(false);
    world.consumers.check();
    world.sessions.check();
    checkHistoryAtEnd(world);
    return {};
  }
  await progresses(world, nodes, SMALL, 'mended');
  for (const client of clients) client.stop();
  world.sessions.stop();
  await runFor(world, profile.waitMs);
  const areAnswered = await runUntil(
    world,
    ANSWERED_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread,
    () => world.sessions.areSettled,
  );
  promise(areAnswered, 'sessions', () => 'all is well, and a producer is not told what became of its appends');
  await converges(world);
  await world.trims.trial(
    (limitMs, isDone) => runUntil(world, limitMs, isDone),
    (node, bytes, done) => probe(world, node, bytes, done),
  );
  await converges(world);
  if (isUsual(world)) await fillsUp(world);
  await world.refusals.trial((limitMs, isDone) => runUntil(world, limitMs, isDone));
  if (isUsual(world)) await world.hangs.trial((limitMs, isDone) => runUntil(world, limitMs, isDone));
  const handedOver = isUsual(world) ? await world.stops.trial((limitMs, isDone) => runUntil(world, limitMs, isDone)) : undefined;
  if (handedOver !== undefined) await converges(world);
  const failoverElections = await failsOver(world);
  await converges(world);
  await losesEverywhere(world, {
    runUntil: (limitMs, isDone) => runUntil(world, limitMs, isDone),
    progresses: () => progresses(world, nodes, SMALL, 'mended'),
    areHealed: () => world.damages.areHealed,
  });
  await converges(world);
  for (const client of clients) client.disconnect('the simulation ended');
  await runUntil(world, AGREED_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread, () => world.tokens.isAgreed);
  world.tokens.check(true);
  world.consumers.check();
  world.sessions.check();
  checkAtEnd(world);
  await endUploads(world, (ms) => runFor(world, ms));
  checkHistoryAtEnd(world);
  return isUsual(world) ? { failoverElections, handedOver } : {};
}

/** Runs until `isDone`, at most for `limitMs`. Returns whether it was. */
async function runUntil({ scheduler }: World, limitMs: number, isDone: () => boolean): Promise<boolean> {
  const endMs = scheduler.nowMs + limitMs;
  while (!isDone()) {
    if (!scheduler.step(endMs)) return isDone();
    if (scheduler.isUnsettled) await scheduler.settled();
    promise(scheduler.steps < MAX_STEPS, 'progress', () => `${MAX_STEPS} things have happened, and there is no end`);
  }
  return true;
}

async function runFor(world: World, ms: number): Promise<void> {
  await runUntil(world, ms, () => false);
}

/** A majority that can elect a leader among itself; undefined when all nodes are needed for that, or it would be all of them. */
function drawCore(world: World): SimNode[] | undefined {
  const { nodes, random, checker, openDamages } = world;
  const size = Math.floor(nodes.length / 2) + 1;
  // What a disk lost while its node was down, the node says only at its start.
  const voters = nodes.filter(
    (node) => checker.standingOf(node.id) === 'voter' && checker.isVoterEverywhere(node.id) && !openDamages.hasLost(node),
  );
  if (voters.length < size || size === nodes.length) return undefined;
  while (voters.length > size) voters.splice(random.below(voters.length), 1);
  return voters;
}

/** What is appended to see progress. */
interface Probes {
  readonly count: number;
  readonly payloadBytes: number;
}

const SMALL: Probes = { count: 1, payloadBytes: 8 };
const LARGE: Probes = { count: 20, payloadBytes: 20_000 };

/**
 * Whether a leader that is none of `nodes` keeps its office with the answers of another one that hangs, and that stores nothing more. Where one of `nodes`
 * hears that leader and is not heard by it, nothing commits meanwhile: GUARANTEES, "links work in one direction only", "a follower's main thread".
 */
function isHeldByHungNode({ leader, nodes: all }: World, nodes: readonly SimNode[]): boolean {
  if (leader === undefined || nodes.includes(leader)) return false;
  return all.some((node) => node !== leader && !nodes.includes(node) && node.process?.replica.raft.isHung === true);
}

/** Whether a set of nodes that was begun meanwhile needs others than `nodes`: the first one may list a node as a learner that counted by its id until then. */
function isLeftShort({ hasSets, checker, nodes: all }: World, nodes: readonly SimNode[]): boolean {
  return hasSets && nodes.length < all.length && !checker.isMajorityOfOwn(nodes.map(({ id }) => id));
}

/** New appends commit once `nodes` are well, in time. Whoever leads may be another node, if only the work goes on. */
async function progresses(
  world: World,
  nodes: readonly SimNode[],
  { count, payloadBytes }: Probes,
  occasion: keyof typeof PROGRESS_ELECTIONS,
): Promise<void> {
  const { profile, checker, scheduler, random } = world;
  const limitMs = limitOf(world, occasion) * profile.electionTimeoutMs * profile.clockSpread;
  let committed = 0;
  const attempt = (): void => {
    if (committed >= count) return;
    for (const node of world.nodes) {
      probe(world, node, payloadBytes, () => {
        committed += 1;
      });
    }
    scheduler.after((profile.electionTimeoutMs * (300 + random.below(1000))) / 1000, attempt);
  };
  const before = checker.ledger.end;
  attempt();
  promise(
    (await runUntil(world, limitMs, () => committed >= count)) || isHeldByHungNode(world, nodes) || isLeftShort(world, nodes),
    'progress',
    () =>
      `nodes ${nodes.map(({ id }) => id).join(', ')} are well and connected, but have not made the progress that is due in ${Math.round(limitMs)} ms ` +
      `(the commit was ${before}, and is ${checker.ledger.end}): ${nodes.map((node) => `node ${node.id} is ${node.process?.describe() ?? 'down'}`).join('; ')}`,
  );
}

/** Disks fill up while all is well, and when there is room again, the cluster goes on. */
async function fillsUp(world: World): Promise<void> {
  if (!world.fullDisks.isOn) return;
  await world.fullDisks.trial(
    (ms) => runFor(world, ms),
    (node) => probe(world, node, SMALL.payloadBytes, () => undefined),
  );
  await progresses(world, world.nodes, SMALL, 'mended');
  await converges(world);
}

/** Whether votes are split no more often than among the nodes of a usual cluster. */
function isUsual({ profile, nodes }: World): boolean {
  return profile.electionSpread === 1 && nodes.length <= MOST_NODES;
}

function limitOf(world: World, occasion: keyof typeof PROGRESS_ELECTIONS): number {
  return isUsual(world) ? PROGRESS_ELECTIONS[occasion] : SPLIT_ELECTIONS;
}

/** A cluster in which all is well gets over the death of its leader. Returns after how many election timeouts; undefined when it has none. */
async function failsOver(world: World): Promise<number | undefined> {
  const limit = limitOf(world, 'death');
  const elections = await failOver(world, limit, (node, done) => probe(world, node, SMALL.payloadBytes, done));
  promise(
    elections === undefined || elections <= limit,
    'progress',
    () =>
      `the leader died while all was well, and nothing was committed in ${limit} election timeouts: ` +
      world.nodes.map((node) => `node ${node.id} is ${node.process?.describe() ?? 'down'}`).join('; '),
  );
  return elections;
}

/** Appends an entry at `node`; `done` is called when it was committed. */
function probe(world: World, node: SimNode, payloadBytes: number, done: () => void): void {
  const { process } = node;
  if (process === undefined) return;
  const id = world.newId();
  const complete = world.history.append({ client: 0, ids: [id], level: 'committed' });
  process.mainThread.post(0, 'probe', () => {
    process.engine.appends.accept({
      caller: {
        unacknowledgedBytes: 0,
        unacknowledgedAppends: 0,
        isClosed: false,
        sendError: (_id, code, _offset, _sentence, mayHaveHappened = false) =>
          complete({ kind: mayHaveHappened ? 'unknown' : 'failed', why: code }),
        fail: (_id, code) => complete({ kind: 'failed', why: code }),
        addReceipt: (_id, term, offset, end, _level, nodes) => {
          const holders = world.nodes.map((each) => each.id).filter((each) => ((nodes >>> (each - 1)) & 1) === 1);
          complete({ kind: 'ok', offset, end, term, nodes: holders });
          done();
          return false;
        },
        flushReceipts: () => undefined,
      },
      requestId: 1,
      entries: encodeEntries(id, [payloadBytes], false),
      entryCount: 1,
      received: false,
      condition: undefined,
      arrivedMs: node.localMs(),
    });
  });
}

/** Every node has the whole log, durably, and knows that it is committed. */
async function converges(world: World): Promise<void> {
  const { profile, nodes, checker } = world;
  const limitMs = CONVERGENCE_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread;
  const isSame = (): boolean =>
    nodes.every(({ process }) => {
      if (process === undefined || process.identity.standing !== 'voter' || process.replica.raft.isTruncating) return false;
      const { tail, durable, commit } = process.memory;
      const isTrimmed = process.memory.word(WORD.START) === checker.ledger.trimStart;
      return tail === checker.ledger.end && durable === tail && commit === tail && isTrimmed;
    }) &&
    (!world.saysNodes || checker.areAllVoters(nodes.map(({ id }) => id))) &&
    world.damages.areHealed;
  promise(
    await runUntil(world, limitMs, isSame),
    'convergence',
    () =>
      `all is mended and quiet, but after ${Math.round(limitMs)} ms the nodes are not the same (committed: ${checker.ledger.end}): ` +
      nodes.map((node) => `node ${node.id} is ${node.process?.describe() ?? 'down'}`).join('; '),
  );
}

function checkAtEnd(world: World): void {
  const { nodes, checker } = world;
  const committed = checker.ledger.committedBytes();
  const segments = new Map<number, { readonly node: number; readonly bytes: Uint8Array }>();
  for (const { id, process, disk } of nodes) {
    if (process === undefined) continue;
    const { start, end } = checker.ledger;
    const first = process.memory.word(WORD.BASE);
    forEachPiece(process, first, end, (from, bytes) => {
      const isSame = Buffer.compare(bytes, committed.subarray(from - start, from - start + bytes.length)) === 0;
      promise(isSame, 'convergence', () => `node ${id} has other bytes in [${from}, ${from + bytes.length}) than are committed`);
    });
    for (let segment = process.engine.segments.find(first); segment !== undefined; segment = process.engine.segments.find(segment.end)) {
      const { base } = segment;
      const bytes = disk.visibleBytes(`${DIRECTORY}/${segmentName(base)}`)?.subarray(SEGMENT_HEADER_BYTES) ?? new Uint8Array(0);
      const other = segments.get(base);
      const isSame = other === undefined || Buffer.compare(bytes, other.bytes) === 0;
      promise(isSame, 'convergence', () => `nodes ${other?.node} and ${id} have different files for the segment at ${base}`);
      segments.set(base, { node: id, bytes });
    }
  }
}

function checkHistoryAtEnd({ nodes, checker, history, profile, oldCopies, hasSets }: World): void {
  // A receipt names the nodes as they are when it is sent: one that has just lost its disk is not among them any more.
  // By a set of nodes, fewer may be a majority.
  const isMajorityNamed = !hasSets && !profile.growsLater && !oldCopies.isOn && !profile.faults.some(({ fault }) => fault === 'wipe');
  const majority = isMajorityNamed ? Math.floor(nodes.length / 2) + 1 : 1;
  const [first, ...others] = checkHistory(history, checker.ledger.entries(), { majority, start: checker.ledger.start });
  promise(
    first === undefined,
    'history',
    () => `${first?.kind}: ${first?.sentence}${others.length > 0 ? ` (and ${others.length} more)` : ''}`,
  );
}
