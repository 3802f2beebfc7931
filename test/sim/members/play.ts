// A schedule of changes of the set of nodes, drawn from a seed, with everything that can happen to nodes meanwhile; and in the end, without faults, the cluster
// must go on.

import { MAX_TERM_STEP } from '../../../src/core/limits.ts';
import { type Configuration, faultOfStep, type Member, majorityOf, votersOf } from '../../../src/core/members.ts';
import { Random } from '../../assembly/random.ts';
import { promise, Violation } from '../violation.ts';
import { type CoreDisk, type CoreNode, ELECTION_MS, type Held } from './coreNode.ts';
import { World } from './coreWorld.ts';

/** What was found, and how much was done. */
export interface Played {
  readonly violation: Violation | undefined;
  readonly turns: number;
  readonly commits: number;
  readonly sets: number;
  readonly terms: number;
  readonly replaced: number;
  readonly returned: number;
  /** Disks that lost what was on them, and kept their directory. */
  readonly harmed: number;
  readonly bombs: number;
}

const HELD: readonly Held[] = ['flush', 'order', 'truncate'];
/** Time to settle in, without faults. */
const QUIET_MS = 12_000;
/** More messages than this without time passing beget one another. */
const STORM = 20_000;

/** Of so many steps one is a fault of disks and greetings, in seeds that have them. */
const HARM_ONE_IN = 60;
/** The same of what makes a leader hand over. */
const TROUBLE_ONE_IN = 20;

class Play {
  readonly #random: Random;
  /** Of what came later than the rest, so that other seeds stay what they were. */
  readonly #later: Random;
  readonly #isHarmful: boolean;
  /** Main threads hang, and disks are full, now and then. */
  readonly #isTroubled: boolean;
  readonly world: World;
  /** Disks that were taken out of a node, and may come back. */
  readonly #shelf: { readonly node: CoreNode; readonly disk: CoreDisk }[] = [];
  replaced = 0;
  returned = 0;
  harmed = 0;
  bombs = 0;

  /** How often messages go through as they do on a network that works, in percent. */
  readonly #calm: number;

  constructor(random: Random, seed: number) {
    this.#random = random;
    this.#later = new Random(seed ^ 0x0dd_d15c);
    this.#isHarmful = seed % 5 === 1 || seed % 5 === 3;
    this.#isTroubled = seed % 20 === 18;
    this.#calm = random.below(60);
    const founders = 1 + random.below(5);
    this.world = new World(random, founders, 1 + random.below(7 - founders));
    if (this.#isTroubled) this.world.lateAppends = () => this.#later.below(3);
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#random.below(Math.max(1, list.length))];
  }

  get #node(): CoreNode {
    return this.#pick(this.world.nodes) as CoreNode;
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i += 1) {
      this.#step();
      if (this.#isHarmful && this.#later.oneIn(HARM_ONE_IN)) this.#harm();
      if (this.#isTroubled && this.#later.oneIn(TROUBLE_ONE_IN)) this.#trouble();
      // Most of the time, most of what is sent arrives, and disks catch up.
      if (this.#chance(this.#calm)) this.#deliver(8);
    }
    this.#settle();
  }

  #step(): void {
    const { world } = this;
    const draw = this.#random.below(1_000);
    if (draw < 500) this.#deliver(1 + this.#random.below(6));
    else if (draw < 530) world.bag.splice(this.#random.below(Math.max(1, world.bag.length)), 1);
    else if (draw < 545) this.#repeat();
    else if (draw < 665) this.#wait(this.#random.below(this.#chance(90) ? 100 : 600));
    else if (draw < 680) this.#campaign(this.#node);
    else if (draw < 780) this.#append();
    else if (draw < 870) this.#change();
    else if (draw < 885) this.#hold(this.#node);
    else if (draw < 925) this.#letGo(this.#node);
    else if (draw < 945) this.#crash(this.#node);
    else if (draw < 950) this.#replaceDisk(this.#node);
    else if (draw < 955) this.#bringBack();
    else if (draw < 965) world.cut(this.#node.id, this.#node.id);
    else if (draw < 980) world.heal();
    else if (draw < 988) this.#node.turn((raft) => raft.transfer());
    else if (draw < 994) this.#node.outcomes.push(this.#random.pick('full', 'refused', 'misplaced'));
    else this.#trim(this.#node);
  }

  #deliver(count: number): void {
    const { bag } = this.world;
    for (let i = 0; i < count && bag.length > 0; i += 1) {
      const at = this.#chance(70) ? 0 : this.#random.below(this.world.bag.length);
      const [envelope] = this.world.bag.splice(at, 1);
      if (envelope !== undefined) this.world.hand(envelope);
    }
  }

  #repeat(): void {
    const envelope = this.#pick(this.world.bag);
    if (envelope !== undefined) this.world.hand(envelope);
  }

  #wait(ms: number): void {
    this.world.nowMs += ms;
    for (const node of this.world.nodes) if (node.isLive && node.raft.deadlineMs <= this.world.nowMs) node.turn((raft) => raft.tick());
  }

  /** A node misses its leader before the others do. */
  #campaign(node: CoreNode): void {
    if (!node.isLive) return;
    this.world.nowMs = Math.max(this.world.nowMs + ELECTION_MS, node.raft.deadlineMs);
    node.turn((raft) => raft.tick());
  }

  #append(): void {
    this.#pick(this.world.leaders.filter(({ isOpen }) => isOpen))?.append(40 + 30 * this.#random.below(3));
  }

  #hold(node: CoreNode): void {
    const held = this.#pick(HELD);
    if (held !== undefined && !node.holds.delete(held)) node.holds.add(held);
  }

  #letGo(node: CoreNode): void {
    if (!node.isLive) return;
    node.truncate();
    node.order();
    if (!node.raft.isTruncating) node.flush(this.#pick(node.entries)?.end ?? node.end);
  }

  #crash(node: CoreNode): void {
    if (node.isUp) this.world.crash(node);
    else this.world.restart(node);
  }

  #replaceDisk(node: CoreNode): void {
    if (!this.world.canLose(node)) return;
    const isShelved = this.world.set !== undefined && this.#chance(50);
    if (isShelved) this.#shelf.push({ node, disk: node.disk });
    this.world.replaceDisk(node, !isShelved);
    this.replaced += 1;
  }

  #laterOf<T>(list: readonly T[]): T {
    const picked = list[this.#later.below(list.length)];
    if (picked === undefined) throw new Error('there is something to pick from');
    return picked;
  }

  #harm(): void {
    const isBomb = this.#later.oneIn(3);
    if (isBomb) this.#bomb();
    else if (this.#later.oneIn(3)) this.#askAgain(this.#laterOf(this.world.nodes));
    else this.#loseEntries(this.#laterOf(this.world.nodes));
  }

  /** A main thread hangs, or answers again; or a disk is full, or has room again. */
  #trouble(): void {
    const { world } = this;
    const node = this.#laterOf(world.leaders.length > 0 && this.#later.oneIn(2) ? world.leaders : world.nodes);
    if (this.#later.oneIn(2)) node.raft.isFull = this.#later.oneIn(2);
    else node.turn((raft) => raft.hung(!raft.isHung));
  }

  /** A node's disk loses the end of its log, and is known to be damaged or an old copy. */
  #loseEntries(node: CoreNode): void {
    const { disk } = node;
    // A set that is about to be written may need it.
    const isChanging = this.world.leaders.some(({ isOpen }) => !isOpen);
    if (isChanging || disk.standing !== 'voter' || disk.entries.length === 0 || !this.world.canLoseUnseen(node)) return;
    if (node.isUp) this.world.crash(node);
    this.world.loseEntries(node, this.#later.below(disk.entries.length), this.#later.pick('returned', 'damaged'), this.#later.oneIn(2));
    this.world.restart(node);
    this.harmed += 1;
  }

  /** Another disk of the node that has a node's vote, a candidate in the same term, asks for it, too. */
  #askAgain(node: CoreNode): void {
    const { votedFor, currentTerm, log, members } = node.raft;
    const candidate = this.world.node(votedFor);
    if (!node.isLive || candidate === undefined || candidate === node || members.isByIds) return;
    const { lastTerm, end } = log;
    this.world.askFrom(node, candidate, { kind: 'voteRequest', term: currentTerm, isPreVote: false, isTransfer: true, lastTerm, end });
  }

  /**
   * So many nodes that would be a majority by their ids come with disks of others, say that they count, and greet with a term that no election leads to; then they
   * have their own disks again. Only where all know a set: while ids count, so do such disks.
   */
  #bomb(): void {
    const { world } = this;
    if (world.nodes.some(({ id, isLive, raft }) => !isLive || (raft.members.isByIds && world.founders.includes(id)))) return;
    // What has no term takes any.
    if (world.nodes.some(({ raft }) => raft.currentTerm === 0)) return;
    const victim = this.#laterOf(world.nodes);
    const ids = votersOf(victim.raft.members.latest?.members ?? []).map(({ id }) => id);
    const others = world.nodes.filter(({ id }) => id !== victim.id && ids.includes(id)).slice(0, majorityOf(ids.length));
    if (others.length < majorityOf(ids.length)) return;
    const term = Math.max(...world.nodes.map(({ raft }) => raft.currentTerm)) + MAX_TERM_STEP + 1 + this.#later.below(9);
    const own = others.map((node) => ({ node, disk: node.disk }));
    for (const node of others) world.replaceDisk(node, false, term);
    for (const { node, disk } of own) {
      world.crash(node);
      world.restart(node, disk);
    }
    this.bombs += 1;
  }

  /** A disk that was away is put back, as it was. */
  #bringBack(): void {
    const at = this.#random.below(Math.max(1, this.#shelf.length));
    const back = this.#shelf[at];
    if (back === undefined || !this.world.canLose(back.node)) return;
    this.#shelf.splice(at, 1);
    if (back.node.isUp) this.world.crash(back.node);
    this.#shelf.push({ node: back.node, disk: back.node.disk });
    this.world.restart(back.node, back.disk);
    this.returned += 1;
  }

  #trim(node: CoreNode): void {
    const committed = node.entries.filter(({ end }) => end <= node.raft.commit);
    if (node.isLive) this.world.trim(node, this.#pick(committed)?.end ?? 0);
  }

  /** A leader is asked for some change; what may not be is refused. */
  #change(): void {
    const { world } = this;
    const leader = this.#pick(world.leaders);
    const before = leader?.raft.members.latest?.members;
    if (leader === undefined || !this.#isTrimmed(leader)) return;
    if (before === undefined) this.#wrongFirst(leader);
    const next = before === undefined ? leader.raft.firstConfiguration : this.#nextAfter(before);
    // A set that needs a disk which was lost in this moment may be stuck, as after any loss of a majority.
    if (next === undefined || votersOf(next).some((voter) => world.isNewlyLost(leader, voter))) return;
    leader.turn((raft) => {
      const fault = raft.configure(next);
      if (fault === undefined) this.#checkReach(leader, next);
      const isFault = before !== undefined && faultOfStep(before, next, raft.members.removed) !== undefined;
      promise(!isFault || fault !== undefined, 'sets of nodes', () => 'a set that may not follow is taken');
    });
  }

  /** A first set that says of a node what it has not said of itself is refused. */
  #wrongFirst(leader: CoreNode): void {
    const { firstConfiguration: first } = leader.raft;
    const of = first === undefined || first.length === 0 ? undefined : this.#laterOf(first);
    if (first === undefined || of === undefined) return;
    const change = this.#later.pick<Partial<Member>>({ role: of.role === 'voter' ? 'learner' : 'voter' }, { instance: 'f'.repeat(16) });
    const wrong = first.map((member) => (member === of ? { ...member, ...change } : member));
    leader.turn((raft) => {
      const fault = raft.configure(wrong);
      promise(fault !== undefined, 'sets of nodes', () => `the first set says of node ${of.id} ${JSON.stringify(change)}, and is taken`);
    });
  }

  /** A set that is taken has a majority that has all that is trimmed on its leader: the others cannot be fed before something is committed. */
  #checkReach(leader: CoreNode, next: Configuration): void {
    const { world } = this;
    const { id, disk } = leader;
    const voters = votersOf(next);
    const able = voters.filter((voter) => voter.id === id || world.has(voter, disk.start));
    promise(
      able.length >= majorityOf(voters.length),
      'sets of nodes',
      () => `${able.length} of ${voters.length} voters of a set that is taken have what is trimmed, up to offset ${disk.start}`,
    );
  }

  /** What is trimmed is in the log: a leader that has committed in its term has trimmed as much as anybody. */
  #isTrimmed(leader: CoreNode): boolean {
    const start = Math.max(...this.world.nodes.map(({ disk }) => disk.start));
    leader.trim(start);
    return leader.disk.start >= start;
  }

  #nextAfter(before: Configuration): Configuration {
    const node = this.#node;
    const { id, instance } = node.directory;
    const is = before.find((member) => member.id === id);
    const others = before.filter((member) => member.id !== id);
    const changed = (member: Member): Configuration => [...others, member].sort((a, b) => a.id - b.id);
    const fresh: Member = { id, instance, role: 'learner', host: 'host', port: 1, peerPort: 2 };
    if (is === undefined) return changed(this.#chance(95) ? fresh : { ...fresh, role: 'voter' });
    if (is.instance !== instance) {
      const draw = this.#random.below(100);
      if (draw < 90) return changed({ ...is, instance, role: draw < 80 ? 'learner' : is.role });
    }
    if (is.role === 'learner' && this.#chance(70)) return changed({ ...is, role: 'voter' });
    if (this.#chance(30)) return changed({ ...is, port: this.#random.below(1_000) });
    if (this.#chance(10)) return changed({ ...is, role: is.role === 'voter' ? 'learner' : 'voter', port: this.#random.below(1_000) });
    if (this.#chance(10)) return before.slice(2);
    return this.#chance(50) ? others : changed({ ...is, role: 'learner' });
  }

  /** The faults are over: the nodes that are left elect a leader, which commits, and all that are in its set get everything. */
  #settle(): void {
    const { world } = this;
    for (const node of world.nodes) {
      node.holds.clear();
      node.outcomes = [];
      if (!node.isUp) world.restart(node);
      node.truncate();
      node.order();
      node.flush();
      if (!this.#isTroubled) continue;
      node.raft.isFull = false;
      node.turn((raft) => raft.hung(false));
    }
    this.#mendDisks();
    world.heal();
    this.#pass(QUIET_MS);
    const [leader, ...more] = world.leaders;
    promise(leader !== undefined && more.length === 0, 'progress', () => `when the faults are over, ${world.leaders.length} nodes lead`);
    const { set } = world;
    const isVoter = set === undefined || votersOf(set).some(({ id, instance }) => id === leader.id && instance === leader.disk.instance);
    promise(isVoter, 'progress', () => `node ${leader.id} leads, and is no voter`);
    promise(leader.isOpen, 'progress', () => `node ${leader.id} leads, and takes no appends`);
    leader.append(50);
    this.#pass(2_000);
    promise(leader.raft.commit === leader.end, 'progress', () => `node ${leader.id} cannot commit: ${leader.raft.commit} of ${leader.end}`);
    for (const node of world.nodes) {
      const isMember = (world.set ?? []).some(({ id, instance }) => id === node.id && instance === node.disk.instance);
      const isWanted = world.set === undefined ? world.founders.includes(node.id) : isMember;
      promise(!isWanted || node.end === leader.end, 'convergence', () => `node ${node.id} has ${node.end} of ${leader.end}`);
      // An old copy has forgotten its votes: it waits until all of its set have told their terms, and one of them may be away for good.
      const mayWait = node.disk.standing === 'returned' && !node.raft.hasHeardAll;
      promise(
        !isWanted || node.disk.standing === 'voter' || mayWait,
        'convergence',
        () => `node ${node.id} is in the set, and its standing is ${node.disk.standing}`,
      );
    }
  }

  /** A majority of whatever set may be in force has its disks: those that only are on the shelf come back, what is committed first. */
  #mendDisks(): void {
    const { world } = this;
    const sets = [world.set, ...world.nodes.map(({ raft }) => raft.members.latest?.members)];
    const mended = new Set<number>();
    for (const set of sets) {
      for (const { id, instance } of votersOf(set ?? [])) {
        const node = world.node(id);
        const shelved = this.#shelf.find(({ disk }) => disk.instance === instance);
        if (node === undefined || mended.has(id)) continue;
        mended.add(id);
        if (shelved === undefined || node.disk.instance === instance) continue;
        world.crash(node);
        world.restart(node, shelved.disk);
      }
    }
  }

  #pass(ms: number): void {
    const { world } = this;
    const untilMs = world.nowMs + ms;
    for (;;) {
      let count = 0;
      for (let next = world.bag.shift(); next !== undefined; next = world.bag.shift()) {
        world.hand(next);
        count += 1;
        promise(count < STORM, 'soundness', () => 'messages beget messages for ever');
      }
      const live = world.nodes.filter(({ isLive }) => isLive);
      const dueMs = Math.min(...live.map(({ raft }) => raft.deadlineMs));
      if (dueMs > untilMs) break;
      world.nowMs = Math.max(world.nowMs, dueMs);
      for (const node of live) if (node.raft.deadlineMs <= world.nowMs) node.turn((raft) => raft.tick());
    }
    world.nowMs = untilMs;
  }
}

/** Plays the schedule of `seed`. */
export function play(seed: number): Played {
  const random = new Random(seed);
  const game = new Play(random, seed);
  let violation: Violation | undefined;
  try {
    game.run(300 + random.below(900));
  } catch (thrown) {
    violation =
      thrown instanceof Violation
        ? thrown
        : new Violation('soundness', thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  }
  const { replaced, returned, harmed, bombs } = game;
  const { sets, committed } = game.world;
  const terms = Math.max(0, ...game.world.nodes.map(({ raft }) => raft.currentTerm));
  return { violation, turns: 0, commits: committed.size, sets: sets.length, terms, replaced, returned, harmed, bombs };
}
