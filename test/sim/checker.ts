// Looks at a node after everything that happens on it, and holds what it finds against the ledger and against the other nodes. Only what
// has changed is looked at, so that this costs little.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_OVERHEAD_BYTES,
  KIND_CONFIGURATION,
  KIND_LEVEL,
  KIND_STATE,
  KIND_TIME,
  MAX_PAYLOAD_BYTES,
} from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { doesCount } from '../../src/core/ids.ts';
import { knowsLevel } from '../../src/core/levels.ts';
import { type Configuration, hasDirectory, isSameConfiguration, votersOf } from '../../src/core/members.ts';
import { positionOf } from '../../src/core/position.ts';
import { readConfiguration } from '../../src/format/configuration.ts';
import { readLevel, readTime } from '../../src/format/controlEntries.ts';
import { entryBytesOf, kindOf, kindSizeAt, payloadBytesOf } from '../../src/format/entry.ts';
import { leaderOfTerm } from '../../src/format/noOp.ts';
import { readState } from '../../src/format/stateEntry.ts';
import { nodesIn } from '../../src/memory/logNodes.ts';
import { WORD } from '../../src/memory/map.ts';
import type { NodeId, PeerMessage, Standing } from '../../src/raft/messages.ts';
import type { TermStart } from '../../src/raft/termTable.ts';
import { encodeVote, type Vote } from '../../src/storage/dataDirectory.ts';
import { segmentName, VOTE_FILE } from '../../src/storage/names.ts';
import type { Data } from './connection.ts';
import { DIRECTORY } from './identity.ts';
import { Ledger, termBefore } from './ledger.ts';
import { isContinued, isData } from './payloads.ts';
import { forEachPiece } from './pieces.ts';
import type { Process } from './process.ts';
import {
  checkOwn,
  checkStep,
  isEnoughWithout,
  isMajorityOfOwn,
  isVoterEverywhere,
  isVoterOf,
  neededOf,
  type SetAt,
  setAt,
} from './sets.ts';
import type { SimNode } from './simNode.ts';
import { promise } from './violation.ts';

/** What is known of a node, over all its lives. */
interface Shadow {
  readonly node: SimNode;
  /** Its log: terms and end. */
  starts: TermStart[];
  tail: number;
  /** Of its data directory. */
  instance: string;
  /** The sets of nodes that its log says, ends ascending. */
  sets: SetAt[];
  /** Where data entries end, ascending; first where the log starts. */
  dataEnds: number[];
  /** Whether its log describes itself, and the times that it names, each with the end of the entry that does. */
  hasState: boolean;
  times: { readonly end: number; readonly timeMs: number }[];
  /** End of what is surely on its disk. */
  durable: number;
  /** What was on the disk that it lost. */
  lost: { readonly starts: readonly TermStart[]; readonly durable: number; readonly instance: string };
  vote: Vote;
  /** The commit bound that it has surely saved. */
  bound: number;
  standing: Standing;
  /** Whether it has the disk that the cluster began with. */
  isFounder: boolean;
  /** Runs on an old copy of its disk, and does not know it. */
  isOldCopy: boolean;
  /** Its disk was lost, which counted. */
  hasLost: boolean;
  /** Of this life. */
  commit: number;
  term: number;
  isLeader: boolean;
  /** The core's time, about, and when each other node was heard from on it. */
  coreMs: number;
  localMs: number;
  leaderSinceMs: number;
  readonly heardMs: Map<NodeId, number>;
}

/** A position in a log, for elections. */
interface Position {
  readonly term: number;
  readonly end: number;
}

/** A leader that is not answered resigns within so many election timeouts of its own clock. */
const RESIGNS_WITHIN = 3;

export class Checker {
  readonly ledger: Ledger;
  readonly #shadows = new Map<NodeId, Shadow>();
  /** Votes: by term and node. */
  readonly #votes = new Map<string, NodeId>();
  /** By data directory: the ids that count by it while its log says no set, and whether node.json has had a copy of a set instead since. */
  readonly #lists = new Map<string, { list: readonly NodeId[]; isReplaced: boolean }>();

  constructor(nodes: readonly SimNode[], start: number) {
    this.ledger = new Ledger(start);
    for (const node of nodes) this.#shadows.set(node.id, this.#newShadow(node));
  }

  #newShadow(node: SimNode): Shadow {
    return {
      node,
      starts: [],
      tail: this.ledger.start,
      instance: '',
      sets: [],
      dataEnds: [this.ledger.start],
      hasState: false,
      times: [],
      durable: this.ledger.start,
      lost: { starts: [], durable: 0, instance: '' },
      vote: { currentTerm: 0, votedFor: 0, commit: 0 },
      bound: 0,
      standing: 'stranger',
      isFounder: false,
      isOldCopy: false,
      hasLost: false,
      commit: this.ledger.start,
      term: 0,
      isLeader: false,
      coreMs: 0,
      localMs: 0,
      leaderSinceMs: 0,
      heardMs: new Map(),
    };
  }

  #of(id: NodeId): Shadow {
    const shadow = this.#shadows.get(id);
    if (shadow === undefined) throw new Error(`there is no node ${id}`);
    return shadow;
  }

  /** Whether a node has the log of `term` up to `end` surely on its disk, or had it on one that it lost. */
  hasDurably(id: NodeId, term: number, end: number): boolean {
    const shadow = this.#of(id);
    return [shadow, shadow.lost].some(({ starts, durable }) => durable >= end && termBefore(starts, end) === term);
  }

  /** Whether the disk that the node has now holds all that is committed. */
  hasAllCommitted(id: NodeId): boolean {
    const { starts, durable } = this.#of(id);
    return this.ledger.isIn(starts, durable);
  }

  standingOf(id: NodeId): Standing {
    return this.#of(id).standing;
  }

  /** The node's disk was replaced by an empty one. */
  wiped(node: SimNode): void {
    const shadow = this.#of(node.id);
    shadow.lost = { starts: shadow.starts, durable: shadow.durable, instance: shadow.instance };
    shadow.hasLost = true;
    shadow.starts = [];
    shadow.tail = 0;
    shadow.instance = '';
    shadow.sets = [];
    shadow.dataEnds = [0];
    shadow.times = [];
    shadow.durable = 0;
    shadow.vote = { currentTerm: 0, votedFor: 0, commit: 0 };
    shadow.bound = 0;
    shadow.standing = 'stranger';
    shadow.isFounder = false;
    shadow.isOldCopy = false;
  }

  /** The node's disk was replaced by an old copy: it says that it counts, and must be noticed before it does harm. */
  restored(node: SimNode): void {
    this.wiped(node);
    const shadow = this.#of(node.id);
    shadow.standing = 'returned';
    shadow.isOldCopy = true;
  }

  /** Whether a node counted with a disk that it has lost. */
  hasLostDisk(id: NodeId): boolean {
    return this.#of(id).hasLost;
  }

  /** Whether a node runs on an old copy of its disk, and nobody has told it so. */
  isOldCopy(id: NodeId): boolean {
    return this.#of(id).isOldCopy;
  }

  /** A process dies, perhaps in the middle of an event: what it had committed by then is committed, and may be on its disk as such. */
  dies(process: Process): void {
    const shadow = this.#of(process.id);
    const { tail, durable, commit } = process.memory;
    if (commit <= shadow.commit) return;
    if (tail > shadow.tail) this.#extended(process, shadow, tail);
    if (durable > shadow.durable) this.#synced(process, shadow, durable);
    this.#committed(process, shadow, commit);
  }

  /** A process has stopped in order: what it knew to be committed is saved as such. */
  stopped(process: Process): void {
    const shadow = this.#of(process.id);
    shadow.bound = Math.max(shadow.bound, process.memory.commitBound);
  }

  /** The process is about to drop its log, and to let it begin at `base`. */
  beginsAt(process: Process, base: number): void {
    const shadow = this.#of(process.id);
    process.uploads.cut(shadow.tail);
    promise(
      base > shadow.tail,
      'committed bytes',
      () => `node ${process.id} drops its log, which ends at ${shadow.tail}, to begin at ${base}`,
    );
    this.#beginAt(process, shadow, base);
  }

  /** The log of the process begins at `base`, and ends there: what is before is committed, and was trimmed. */
  #beginAt(process: Process, shadow: Shadow, base: number): void {
    const { start, end, trimStart } = this.ledger;
    const who = `the log of node ${process.id}`;
    promise(base <= end, 'trims', () => `${who} begins at ${base}, but is committed only up to ${end}`);
    promise(base <= trimStart, 'trims', () => `${who} begins at ${base}, but was trimmed only up to ${trimStart}`);
    shadow.starts = [];
    shadow.sets = [];
    shadow.dataEnds = [start];
    shadow.times = [];
    this.#take(process, shadow, start, this.ledger.committedBefore(base), undefined);
    shadow.tail = base;
    shadow.durable = base;
  }

  /** What of its log the process has trimmed: no more than the trims say that are committed. */
  #checkTrims(process: Process): void {
    const { memory } = process;
    const [base, start] = [memory.word(WORD.BASE), memory.word(WORD.START)];
    const { trimStart } = this.ledger;
    const who = `node ${process.id}`;
    promise(start <= trimStart, 'trims', () => `${who} lets the log begin at ${start}, but what is committed trims up to ${trimStart}`);
    promise(base <= start, 'trims', () => `${who} has its log from ${base} on, but lets it begin at ${start}`);
  }

  /** A process has recovered its log, and begins. */
  recovered(process: Process, vote: Vote): void {
    const shadow = this.#of(process.id);
    const { end, damage, openBase } = process.recovered;
    // What it had counts as long as nobody can have counted on more.
    if (damage !== undefined && doesCount(shadow.standing))
      shadow.lost = { starts: shadow.starts, durable: shadow.durable, instance: shadow.instance };
    const isDamaged = damage !== undefined;
    promise(
      isDamaged || !doesCount(shadow.standing) || !process.world.openDamages.hasLost(process.node),
      'durability',
      () => `node ${process.id} takes its damaged log for one up to ${end}`,
    );
    promise(
      !isDamaged || process.world.openDamages.hasLost(process.node),
      'durability',
      () => `node ${process.id} finds its log damaged from ${end} on, and nothing has damaged its disk: ${damage?.sentence}`,
    );
    shadow.isFounder = process.identity.isFounder;
    shadow.instance = process.identity.instance;
    this.#noteList(process);
    const who = `node ${process.id}`;
    promise(
      isDamaged || end >= shadow.durable,
      'durability',
      () => `${who} recovered the log up to ${end}, but ${shadow.durable} was durable`,
    );
    promise(
      vote.currentTerm > shadow.vote.currentTerm ||
        (vote.currentTerm === shadow.vote.currentTerm && (shadow.vote.votedFor === 0 || vote.votedFor === shadow.vote.votedFor)),
      'election safety',
      () =>
        `${who} remembers term ${vote.currentTerm} and its vote for ${vote.votedFor}, but had saved ${shadow.vote.currentTerm}, ${shadow.vote.votedFor}`,
    );
    const { commit } = process.memory;
    promise(
      commit >= (isDamaged ? Math.min(shadow.bound, end) : shadow.bound),
      'committed bytes',
      () => `${who} takes ${commit} for committed, and had saved ${shadow.bound} as such`,
    );
    shadow.bound = Math.max(shadow.bound, commit);
    if (vote.currentTerm > 0) this.#saved(process, shadow, vote);
    // Where the file is gone, only the vote said that there was more, and the next one says how far what is left is committed.
    if (isDamaged && openBase === undefined) shadow.bound = Math.min(shadow.bound, end);
    const wasDamaged = shadow.standing === 'damaged' && process.identity.standing !== 'damaged';
    this.#beginAt(process, shadow, process.recovered.start);
    shadow.commit = process.recovered.start;
    shadow.term = 0;
    shadow.isLeader = false;
    shadow.coreMs = 0;
    shadow.localMs = 0;
    shadow.heardMs.clear();
    this.after(process);
    if (!wasDamaged) return;
    process.world.openDamages.isWhole(process.node);
    this.mended(process);
  }

  /** Which ids count by a directory is what it was started with as long as its log has said nothing, and is not asked again. */
  #noteList({ identity, replica }: Process): void {
    const { members } = replica.raft;
    const known = this.#lists.get(identity.instance);
    if (known === undefined) this.#lists.set(identity.instance, { list: members.isByIds ? members.list : [], isReplaced: false });
    else if (members.isByIds && !known.isReplaced) known.list = members.list;
  }

  /** The process is about to have ids of a set in node.json. */
  replacesList({ identity }: Process): void {
    const known = this.#lists.get(identity.instance);
    if (known !== undefined) known.isReplaced = true;
  }

  /** Nobody counts by ids of a set that its log does not say: the log may have come far since, and majorities of those ids have no node in common with its own. */
  #checkList({ id, identity, replica }: Process, { isOldCopy }: Shadow): void {
    const { members } = replica.raft;
    const known = this.#lists.get(identity.instance);
    if (!members.isByIds || isOldCopy || !doesCount(identity.standing) || known?.isReplaced !== true) return;
    promise(
      `${members.list}` === `${known.list}`,
      'sets of nodes',
      () => `node ${id} counts by the ids ${members.list} of a set that its log does not say; it was started with ${known.list}`,
    );
  }

  /** The node's disk was damaged, and the node takes it for what it was before. */
  mended({ id }: Process): void {
    const { starts, durable, lost } = this.#of(id);
    promise(
      durable >= lost.durable && termBefore(starts, lost.durable) === termBefore(lost.starts, lost.durable),
      'durability',
      () => `node ${id} counts again with a log that is durable up to ${durable}, but had ${lost.durable} when its disk was damaged`,
    );
  }

  /** The process has saved a vote. One that was lost with its process before that bound nobody. */
  voted(process: Process, vote: Vote): void {
    const { currentTerm, votedFor } = vote;
    this.#saved(process, this.#of(process.id), vote);
    // A stranger votes for nobody: it writes its own name, so that it cannot vote later in a term in which it may have voted before.
    if (votedFor === 0 || !doesCount(process.identity.standing)) return;
    // By ids, whichever disk a node has; where sets count, a node with another disk is another one.
    const key = process.world.hasSets ? `${currentTerm} ${process.id} ${process.identity.instance}` : `${currentTerm} ${process.id}`;
    const before = this.#votes.get(key);
    promise(
      before === undefined || before === votedFor,
      'election safety',
      () => `node ${process.id} votes for ${votedFor} in term ${currentTerm}, after it voted for ${before}`,
    );
    this.#votes.set(key, votedFor);
  }

  #saved(process: Process, shadow: Shadow, vote: Vote): void {
    const isThere = process.node.disk.surelyHas(`${DIRECTORY}/${VOTE_FILE}`, 0, encodeVote(vote));
    promise(isThere, 'election safety', () => `node ${process.id} goes on before its vote in term ${vote.currentTerm} is on its disk`);
    shadow.vote = vote;
    shadow.bound = Math.max(shadow.bound, vote.commit);
  }

  /** A message leaves. */
  sent(from: NodeId, to: NodeId, message: PeerMessage): void {
    const { vote, durable } = this.#of(from);
    const { kind, term } = message;
    const isRehearsal = (kind === 'voteRequest' || kind === 'voteResponse') && message.isPreVote;
    promise(
      isRehearsal || term <= vote.currentTerm,
      'election safety',
      () => `node ${from} sends ${kind} of term ${term}, but has saved term ${vote.currentTerm}`,
    );
    if (kind === 'voteResponse' && message.granted && !isRehearsal) {
      const isSaved = vote.currentTerm === term && vote.votedFor === to;
      promise(
        isSaved,
        'election safety',
        () => `node ${from} votes for ${to} in term ${term}, and has saved ${vote.votedFor} in ${vote.currentTerm}`,
      );
    }
    if (kind !== 'appendResponse' || !message.accepted) return;
    promise(message.durable <= durable, 'durability', () => `node ${from} says that it has ${message.durable} on disk, but has ${durable}`);
  }

  heard(process: Process, from: NodeId): void {
    const shadow = this.#of(process.id);
    shadow.heardMs.set(from, shadow.coreMs);
  }

  /** The process is about to cut its log at `offset`. */
  truncating(process: Process, offset: number): void {
    process.uploads.cut(offset);
    const shadow = this.#of(process.id);
    promise(offset >= process.memory.commit, 'committed bytes', () => `node ${process.id} cuts its log at ${offset}, below its commit`);
    shadow.durable = Math.min(shadow.durable, offset);
    shadow.tail = Math.min(shadow.tail, offset);
    // What a damaged disk has lost is given up, and what was known to be committed of it with it. Until the standing says no longer that it is damaged.
    if (process.identity.standing === 'damaged') shadow.bound = Math.min(shadow.bound, offset);
    while ((shadow.starts.at(-1)?.offset ?? -1) >= offset) shadow.starts.pop();
    while ((shadow.sets.at(-1)?.end ?? 0) > offset) shadow.sets.pop();
    while ((shadow.dataEnds.at(-1) ?? 0) > offset) shadow.dataEnds.pop();
    while ((shadow.times.at(-1)?.end ?? 0) > offset) shadow.times.pop();
  }

  /** A client is shown this. */
  shown({ id: node, tasks }: Process, { from, bytes, commit, timeMs }: Data): void {
    promise(
      this.ledger.isCommitted(from, bytes),
      'visibility',
      () => `node ${node} shows [${from}, ${from + bytes.length}), which is not what is committed`,
    );
    promise(commit <= this.ledger.end, 'visibility', () => `node ${node} says that ${commit} is committed, but ${this.ledger.end} is`);
    if (timeMs === undefined) return;
    const own = this.ledger.timeBefore(from);
    // A segment that begins there says it itself; and nobody can say what the disk does not give.
    const isKnown = bytes.length === 0 || kindOf(kindSizeAt(viewOf(bytes), 0)) !== KIND_STATE;
    const mayBeUnknown = !isKnown || tasks.hasReadError;
    promise(
      timeMs === own || (timeMs === 0 && mayBeUnknown),
      'log state',
      () => `node ${node} says that it is ${timeMs} at ${from}, where the log says ${own}`,
    );
  }

  /** Something happened in `process`. */
  after(process: Process): void {
    const shadow = this.#of(process.id);
    const { memory, replica } = process;
    const { raft } = replica;
    const { tail, durable, commit } = memory;
    const { trace } = process.world;
    trace.mix(tail);
    trace.mix(durable);
    trace.mix(commit);
    trace.mix(raft.currentTerm);
    const isLeader = raft.role === 'leader';
    if (isLeader !== shadow.isLeader || raft.currentTerm !== shadow.term) this.#roleChanged(process, shadow, isLeader);
    // What a thread that died of its disk was about to save, it has told nobody.
    const isSaved = raft.votedFor === shadow.vote.votedFor || process.raftThread.isDead;
    promise(
      raft.currentTerm !== shadow.vote.currentTerm || isSaved,
      'election safety',
      () =>
        `node ${process.id} has saved its vote for ${shadow.vote.votedFor} in term ${raft.currentTerm}, and now takes it for one for ${raft.votedFor}`,
    );
    if (!doesCount(process.identity.standing)) shadow.isOldCopy = false;
    // What an old copy says of itself is not so; see oldCopies.ts for what keeps it from doing harm.
    const standing = shadow.isOldCopy ? 'returned' : process.identity.standing;
    const isNews = tail !== shadow.tail || durable > shadow.durable || standing !== shadow.standing;
    shadow.standing = standing;
    promise(tail >= shadow.tail, 'soundness', () => `the log of node ${process.id} lost its end without a truncation`);
    // The disk failed in the middle of a cut: the process is about to end.
    if (tail > shadow.tail && raft.isTruncating) return;
    if (tail > shadow.tail) this.#extended(process, shadow, tail);
    this.#checkTrims(process);
    process.world.seals.look(process);
    // Of a log that begins later, and has nothing yet, nobody has said where its data ends; it may be about to begin later still.
    const isNotTold = tail <= memory.word(WORD.BASE) && memory.dataEnd === tail;
    const dataEnd = isNotTold ? tail : shadow.dataEnds.at(-1);
    promise(
      memory.dataEnd === dataEnd,
      'data end',
      () => `node ${process.id} takes its data to end at ${memory.dataEnd}, not at ${dataEnd}`,
    );
    if (durable > shadow.durable) this.#synced(process, shadow, durable);
    if (isNews && !raft.isTruncating) {
      this.#checkTable(process, shadow);
      this.#checkSet(process, shadow);
    }
    if (commit !== shadow.commit) this.#committed(process, shadow, commit);
    else if (isNews) this.#checkElectable();
  }

  #roleChanged(process: Process, shadow: Shadow, isLeader: boolean): void {
    const { currentTerm } = process.replica.raft;
    promise(currentTerm >= shadow.term, 'election safety', () => `node ${process.id} went back from term ${shadow.term} to ${currentTerm}`);
    shadow.term = currentTerm;
    shadow.isLeader = isLeader;
    if (!isLeader) return;
    this.ledger.elected(process.id, process.identity.instance, currentTerm);
    process.world.hangs.elected(process);
    process.uploads.leads(process.memory.tail);
    process.world.nemesis.elected(process.node);
    shadow.leaderSinceMs = shadow.coreMs;
    // Its no-op may be there already; what counts is what was there before.
    const committed = this.ledger.endBefore(currentTerm);
    promise(
      this.ledger.isIn(shadow.starts, shadow.tail, committed),
      'leader completeness',
      () =>
        `node ${process.id} leads in term ${currentTerm} with a log up to ${shadow.tail}, but lacks what was committed before, up to ${committed}`,
    );
  }

  /** What is new at the log's end: whose is it? */
  #extended(process: Process, shadow: Shadow, tail: number): void {
    forEachPiece(process, shadow.tail, tail, (from, bytes, base) => this.#take(process, shadow, from, bytes, base));
    shadow.tail = tail;
  }

  /** `bytes` are in the log at `from`, in the segment at `base`, if that is known. */
  #take(process: Process, shadow: Shadow, from: number, bytes: Uint8Array, base: number | undefined): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    let kindSize = 0;
    while (at < bytes.length) {
      const term = view.getUint32(at, true);
      const runAt = at;
      while (at < bytes.length && view.getUint32(at, true) === term) {
        promise(at + 8 <= bytes.length, 'log matching', () => `the log of node ${process.id} ends inside an entry, at ${from + at}`);
        kindSize = view.getUint32(at + 4, true);
        this.#describes(process, shadow, view, at, from, base);
        at += (kindSize & MAX_PAYLOAD_BYTES) + ENTRY_OVERHEAD_BYTES;
        if (isData(kindSize)) shadow.dataEnds.push(from + at);
      }
      const offset = from + runAt;
      const prevTerm = termBefore(shadow.starts, offset);
      promise(term >= prevTerm && term > 0, 'log matching', () => `on node ${process.id} term ${term} follows ${prevTerm} at ${offset}`);
      if (term !== prevTerm) shadow.starts.push({ term, offset, leader: this.#beginning(process, term, view, runAt) });
      this.ledger.has(process.id, term, shadow.starts.at(-1)?.leader ?? '', prevTerm, offset, bytes.subarray(runAt, at));
      promise(!isContinued(kindSize), 'whole batches', () => `node ${process.id} has a part of the batch before ${from + at}`);
    }
  }

  /** The entry at `at` of `view`, which begins at log offset `from`, in the segment at `base`: is it what a log that describes itself has there? */
  #describes(process: Process, shadow: Shadow, view: DataView, at: number, from: number, base: number | undefined): void {
    const offset = from + at;
    const kindSize = kindSizeAt(view, at);
    const kind = kindOf(kindSize);
    if (kind === KIND_LEVEL && shadow.isLeader && view.getUint32(at, true) === shadow.term)
      this.#raises(process, readLevel(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) ?? Number.POSITIVE_INFINITY);
    if (offset === 0) shadow.hasState = kind === KIND_STATE;
    if (!shadow.hasState) return;
    const who = `on node ${process.id} the entry of kind ${kind} at ${offset}`;
    const isHead = base === undefined ? kind === KIND_STATE : offset === base;
    promise((kind === KIND_STATE) === isHead, 'log state', () => `${who} is in the segment at ${base}`);
    const payloadBytes = payloadBytesOf(kindSize);
    const payloadAt = at + ENTRY_HEADER_BYTES;
    const state = kind === KIND_STATE ? readState(view, payloadAt, payloadBytes) : undefined;
    const timeMs = kind === KIND_TIME ? readTime(view, payloadAt, payloadBytes) : state?.timeMs;
    if (kind === KIND_CONFIGURATION)
      this.#says(process, shadow, readConfiguration(view, payloadAt, payloadBytes), offset, entryBytesOf(kindSize));
    if (kind !== KIND_STATE && kind !== KIND_TIME) return;
    promise(timeMs !== undefined, 'log state', () => `${who} has a payload that nobody writes`);
    const before = shadow.times.at(-1)?.timeMs ?? 0;
    promise(timeMs >= before, 'log state', () => `${who} takes the time back from ${before} to ${timeMs}`);
    const latestMs = Math.max(before, process.world.clocks.latestMs());
    promise(timeMs <= latestMs, 'log state', () => `${who} takes the time on to ${timeMs}, and no majority’s clocks are past ${latestMs}`);
    shadow.times.push({ end: offset + entryBytesOf(kindSize), timeMs });
    const first = offset === 0 ? (state?.nodes.members ?? []) : [];
    if (first.length > 0) this.#says(process, shadow, first, offset, entryBytesOf(kindSize));
    if (state === undefined || base === undefined) return;
    const told = [state.before.term, state.dataEnd];
    const own = [termBefore(shadow.starts, offset), shadow.dataEnds.at(-1) ?? 0];
    promise(`${told}` === `${own}`, 'log state', () => `${who} says term and data end ${told} of what is before it, which are ${own}`);
  }

  /** `process` leads, and has just ordered that all nodes know `level`: each node of its set has said that to it. */
  #raises({ id, links, replica }: Process, level: number): void {
    for (const other of replica.raft.members.others) {
      const said = links?.levelsOf(other);
      promise(
        said !== undefined && knowsLevel(said, level),
        'levels',
        () => `node ${id} raises the level of the log to ${level}, and node ${other} has said that it knows ${JSON.stringify(said)}`,
      );
    }
  }

  /** The log of `process` says a set of nodes, by an entry of `bytes` at `offset`. */
  #says(process: Process, shadow: Shadow, members: Configuration | undefined, offset: number, bytes: number): void {
    const who = `the log of node ${process.id} at ${offset}`;
    promise(members !== undefined, 'sets of nodes', () => `${who} says a set that nobody writes`);
    // Who joins a log that says it counts by no list. A start reads all of the log again, and node.json may have ids of a later set by then.
    const list = this.#lists.get(process.identity.instance)?.list ?? [];
    if (offset > 0 && (shadow.sets.length > 0 || list.length > 0)) checkStep(who, setAt(shadow.sets), members, list);
    const isOwn = shadow.isLeader && offset >= this.ledger.end && process.replica.raft.log.end === offset + bytes;
    const { commit } = process.memory;
    if (isOwn) checkOwn(`node ${process.id} in term ${shadow.term}`, shadow.sets, members, commit, (id) => this.#shadows.get(id));
    shadow.sets.push({ end: offset + bytes, members });
  }

  /** What the core takes for the set in force is what the log says, and so is what the state of the log has at its end. */
  #checkSet(process: Process, shadow: Shadow): void {
    const { members, log } = process.replica.raft;
    this.#checkList(process, shadow);
    const { highest } = process.world.levelsOf(process.node);
    promise(
      process.memory.word(WORD.LOG_LEVEL) <= highest,
      'log state',
      () => `the log of node ${process.id} is of level ${process.memory.word(WORD.LOG_LEVEL)}, and its build knows levels up to ${highest}`,
    );
    if (members.isUnknown) return;
    const own = setAt(shadow.sets, log.end);
    const isSame = own === undefined ? members.latest === undefined : isSameConfiguration(own, members.latest?.members ?? []);
    promise(
      isSame,
      'sets of nodes',
      () => `node ${process.id} goes by ${JSON.stringify(members.latest)}, and its log up to ${log.end} says ${JSON.stringify(own)}`,
    );
    const last = setAt(shadow.sets) ?? [];
    promise(
      isSameConfiguration(nodesIn(process.memory).members, last),
      'sets of nodes',
      () => `the state of the log of node ${process.id} says other nodes than its entries, which say ${JSON.stringify(last)}`,
    );
  }

  /** Whether enough nodes keep their disks if `lost` loses its own, by the sets that their logs say. */
  isEnoughWithout(lost: NodeId): boolean {
    return isEnoughWithout(
      lost,
      [...this.#shadows.values()].filter(({ node }) => node.list.includes(node.id) && node.id <= node.world.nodes.length),
    );
  }

  /** Node `id` says that its log has a set since offset `from` which `isSo`, and that this is committed. */
  checkAnswered(id: NodeId, from: number, isSo: (members: Configuration) => boolean): void {
    const { sets } = this.#of(id);
    promise(
      sets.some(({ end, members }) => end > from && end <= this.ledger.end && isSo(members)),
      'sets of nodes',
      () =>
        `node ${id} says that a change of nodes is committed which it was asked for at ${from}: ${JSON.stringify(sets)}, and ${this.ledger.end} is`,
    );
  }

  instanceOf(id: NodeId): string {
    return this.#of(id).instance;
  }

  /** Whether the disk that a node has is in a set that the log of a node of `members` says, and is not surely past: then it may count. */
  mayBeIn(id: NodeId, members: Configuration): boolean {
    const { instance } = this.#of(id);
    return members.some((member) => {
      const { instance: own, sets, durable } = this.#of(member.id);
      const isPast = (i: number): boolean => (sets[i + 1]?.end ?? Number.POSITIVE_INFINITY) <= durable;
      return member.instance === own && sets.some((set, i) => !isPast(i) && hasDirectory(set.members, { id, instance }));
    });
  }

  /** Whether the disk that a node has was in any log's set. */
  hasBeenIn(id: NodeId): boolean {
    const { instance } = this.#of(id);
    return [...this.#shadows.values()].some(({ sets }) => sets.some(({ members }) => hasDirectory(members, { id, instance })));
  }

  /** Whether a node counts by every log. */
  isVoterEverywhere(id: NodeId): boolean {
    return isVoterEverywhere(this.#of(id), [...this.#shadows.values()]);
  }

  /** Whether the nodes `ids` are a majority of every set that their logs say. */
  isMajorityOfOwn(ids: readonly NodeId[]): boolean {
    return isMajorityOfOwn(ids, [...this.#shadows.values()]);
  }

  /** Whether every log says that all nodes `ids` count. */
  areAllVoters(ids: readonly NodeId[]): boolean {
    return ids.every((id) => this.#of(id).sets.length > 0 && this.isVoterEverywhere(id));
  }

  /** A term begins at `at` of `view`: its first entry must name its leader. Returns who that is. */
  #beginning(process: Process, term: number, view: DataView, at: number): string {
    const leader = leaderOfTerm(view, at, view.byteLength);
    promise(
      this.ledger.hasLed(leader, term),
      'log matching',
      () => `on node ${process.id} term ${term} begins with what says that instance ${leader} leads, which did not`,
    );
    return leader;
  }

  /** What counts as durable must be on the disk. */
  #synced(process: Process, shadow: Shadow, durable: number): void {
    promise(durable <= shadow.tail, 'durability', () => `node ${process.id} has ${durable} on disk, and a log up to ${shadow.tail}`);
    forEachPiece(process, shadow.durable, durable, (from, bytes, base) => {
      const path = `${DIRECTORY}/${segmentName(base)}`;
      const isThere = process.node.disk.surelyHas(path, positionOf(from, base), bytes);
      promise(
        isThere,
        'durability',
        () => `node ${process.id} takes [${from}, ${from + bytes.length}) for durable, but a power cut may lose it`,
      );
    });
    shadow.durable = durable;
  }

  /** The core's table of terms is that of the log's bytes. */
  #checkTable(process: Process, shadow: Shadow): void {
    const { log } = process.replica.raft;
    const kept = shadow.starts.filter(({ offset }) => offset > log.start && offset < log.end);
    const first = shadow.starts.findLast(({ offset }) => offset <= log.start);
    const starts = first === undefined || log.start === log.end ? kept : [{ ...first, offset: log.start }, ...kept];
    const isSame =
      log.end <= shadow.tail && starts.length === log.starts.length && starts.every((start, i) => isSameStart(start, log.starts[i]));
    const name = (all: readonly TermStart[]): string =>
      all.map(({ term, offset, leader }) => `${term} at ${offset} by ${leader}`).join(', ');
    promise(
      isSame,
      'log matching',
      () =>
        `node ${process.id} takes its log for one up to ${log.end} of terms ${name(log.starts)}; it is one up to ${shadow.tail} of ${name(shadow.starts)}`,
    );
  }

  #committed(process: Process, shadow: Shadow, commit: number): void {
    promise(commit > shadow.commit, 'committed bytes', () => `the commit of node ${process.id} fell from ${shadow.commit} to ${commit}`);
    promise(
      commit <= shadow.tail,
      'committed bytes',
      () => `node ${process.id} takes ${commit} for committed, and has a log up to ${shadow.tail}`,
    );
    let isNews = false;
    // What is before the log's beginning others have committed.
    const first = Math.max(shadow.commit, process.memory.word(WORD.BASE));
    forEachPiece(process, first, commit, (from, bytes) => {
      if (this.ledger.commits(process.id, shadow.isLeader ? shadow.term : undefined, from, bytes)) isNews = true;
    });
    shadow.commit = commit;
    if (!isNews) return;
    const { end, lastTerm } = this.ledger;
    promise(
      !shadow.isLeader || lastTerm === shadow.term,
      'own term',
      () => `node ${process.id}, leader of term ${shadow.term}, takes ${end} for committed, where term ${lastTerm} ends`,
    );
    const set = setAt(shadow.sets);
    const has = ({ starts, durable, instance }: Shadow['lost'], id: NodeId): boolean =>
      durable >= end && termBefore(starts, end) === lastTerm && isVoterOf(set, { node: this.#of(id).node, instance });
    // What a node had said that it has still counts when its disk is lost a moment later; what must not be is looked for below.
    const holders = [...this.#shadows.values()].filter((each) => has(each, each.node.id) || has(each.lost, each.node.id));
    const needed = neededOf(set, process.node);
    promise(
      holders.length >= needed,
      'majority',
      () => `node ${process.id} commits up to ${end}, which only ${holders.length} of the ${needed} nodes have on disk that it takes`,
    );
    this.#checkElectable();
  }

  /** Nobody who lacks what is committed could find a majority, whatever crashes now (figure 8 of the Raft paper). */
  #checkElectable(): void {
    const all = [...this.#shadows.values()];
    for (const candidate of all) {
      if (candidate.standing !== 'voter') continue;
      const { starts, tail, durable } = candidate;
      if (this.ledger.isIn(starts, tail) && this.ledger.isIn(starts, durable)) continue;
      for (const end of [tail, durable]) {
        if (this.ledger.isIn(starts, end)) continue;
        const position = { term: termBefore(starts, end), end };
        const set = setAt(candidate.sets, end);
        const voters = all.filter((voter) => isVoterOf(set, voter) && (voter === candidate || this.#wouldVote(voter, candidate, position)));
        promise(
          voters.length < neededOf(set, candidate.node),
          'leader completeness',
          () =>
            `node ${candidate.node.id}, with a log up to ${end} of last term ${position.term}, lacks what is committed up to ${this.ledger.end}, ` +
            `but nodes ${voters.map(({ node }) => node.id).join(', ')} may elect it`,
        );
      }
    }
  }

  #wouldVote(voter: Shadow, candidate: Shadow, { term, end }: Position): boolean {
    if (!doesCount(voter.standing) || (voter.standing === 'new' && !candidate.isFounder)) return false;
    const own = termBefore(voter.starts, voter.durable);
    return term > own || (term === own && end >= voter.durable);
  }

  /** The core has had a look at its clock. A leader must know soon when it is alone. */
  ticked(process: Process): void {
    const shadow = this.#of(process.id);
    const { settings, members } = process.replica.raft;
    const localMs = process.node.localMs();
    shadow.coreMs += Math.min(localMs - shadow.localMs, settings.heartbeatMs);
    shadow.localMs = localMs;
    if (!shadow.isLeader) return;
    const sinceMs = shadow.coreMs - RESIGNS_WITHIN * settings.electionTimeoutMs;
    if (shadow.leaderSinceMs > sinceMs) return;
    const set = setAt(shadow.sets);
    const voters = set === undefined ? members.list : votersOf(set).map(({ id }) => id);
    const heard = voters.filter((id) => id === process.id || (shadow.heardMs.get(id) ?? Number.NEGATIVE_INFINITY) >= sinceMs).length;
    promise(
      heard >= neededOf(set, process.node),
      'check quorum',
      () =>
        `node ${process.id} still leads in term ${shadow.term}, but has heard from only ${heard} of those that count, itself among them, for ${RESIGNS_WITHIN} election timeouts`,
    );
  }
}

function isSameStart(left: TermStart, right: TermStart | undefined): boolean {
  return right !== undefined && left.term === right.term && left.offset === right.offset && left.leader === right.leader;
}
