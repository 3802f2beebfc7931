// The set of nodes: listed by whoever leads, and changed step by step. A change is asked for until it is decided, and then waited for, as long as its caller likes.

import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import type { MemberChange } from '../core/memberChanges.ts';
import { MAX_HOST_BYTES } from '../core/members.ts';
import { addressOf } from '../core/peers.ts';
import type { MembersAnswer } from '../protocol/members.ts';
import { AbortedError, offAbort, onAbort } from './aborts.ts';
import { type AskLeaderPorts, askLeader } from './askLeader.ts';
import { checkBoolean, checkInteger, checkSignal, MAX_TIMER_MS } from './checks.ts';
import { describe } from './describe.ts';
import { isGone, membersOf, onceJoined, without } from './listedMembers.ts';
import type { LogMember, LogMemberRole, LogMemberState, LogMembers, MemberProgress, MembersChange } from './logMembers.ts';
import { CHANGE_MEMBERS_OPTIONS, checkOptions, MEMBER_ADDRESS_OPTIONS, MEMBERS_OPTIONS, NEW_MEMBER_OPTIONS } from './optionNames.ts';
import type { ChangeMembersOptions, MemberAddress, MembersOptions, NewMember } from './options.ts';

/** Between two looks at a node that joins, and two attempts at one that has not come. */
const LOOK_MS = 500;

/** What a change that was asked for twice says, if it was done the first time. */
const DONE_BEFORE: Readonly<Record<MemberChange['kind'], string>> = {
  add: 'ALREADY_MEMBER',
  remove: 'UNKNOWN_MEMBER',
  promote: 'ALREADY_MEMBER',
  demote: 'ALREADY_MEMBER',
  move: 'ALREADY_MEMBER',
};

/** What is known of the attempts at one change. */
interface Attempts {
  /** One of them may have changed the set: its end is not known. */
  mayBeDone: boolean;
}

/** What says nothing of what an earlier attempt did: nobody who leads has looked. */
const UNDECIDED: readonly string[] = ['UNREACHABLE', 'NOT_LEADER', 'SHUTTING_DOWN', 'CLOSED', 'TOO_MANY_REQUESTS'];

function notKnown(error: LogError): LogError {
  const sentence = `${error.message}; an attempt before that may have changed the set: list the members to see it`;
  return new LogError(error.code, sentence, error.details, 'unknown', { cause: error });
}

/** A change of the set, from the first question to the end of the wait. */
export class MemberWork {
  readonly #ports: AskLeaderPorts;
  readonly #what: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: ((progress: MemberProgress) => void) | undefined;
  readonly #isDryRun: boolean;
  /** Something may have been changed: an attempt at it is under way, or its end is not known, or it is done. */
  #mayHaveChanged = false;
  #hasChanged = false;

  /** Throws TypeErrors and RangeErrors for options that cannot be meant. */
  constructor(ports: AskLeaderPorts, what: string, options: ChangeMembersOptions | MembersOptions, timeoutMs: number) {
    const { timeoutMs: given = timeoutMs, signal, dryRun = false, onProgress }: ChangeMembersOptions = options;
    this.#ports = ports;
    this.#what = what;
    this.#timeoutMs = checkInteger('timeoutMs', given, 1, MAX_TIMER_MS);
    this.#signal = checkSignal(signal);
    this.#isDryRun = checkBoolean('dryRun', dryRun);
    this.#onProgress = checkProgress(onProgress);
  }

  /** The nodes, as the leader knows them. */
  async list(): Promise<LogMembers> {
    return membersOf(await this.#ask(undefined));
  }

  /** Adds a node, and waits until it is a voter, or, as a learner that stays one, has what is committed. */
  async add(member: NewMember): Promise<MembersChange> {
    const change = additionOf(member);
    const before = await this.list();
    const known = before.members.find(({ id }) => id === change.id);
    const isThere = known !== undefined && isSame(known, change);
    if (known === undefined) refuseTaken(before, change);
    const after = isThere ? before : await this.#change(change);
    if (this.#isDryRun) return { before, after: onceJoined(after), hasChanged: false };
    return { before, after: await this.#joined(change.id), hasChanged: !isThere };
  }

  /** Removes a node. Its directory never has a part in the log again. */
  async remove(id: number): Promise<MembersChange> {
    return this.#plain({ kind: 'remove', id });
  }

  /** A node that is only fed becomes a voter, and this waits for it. */
  async promote(id: number): Promise<MembersChange> {
    const before = await this.list();
    const role = before.members.find((member) => member.id === id)?.role;
    // Who is on its way is waited for.
    const isUnderWay = role === 'learner';
    const after = isUnderWay ? before : await this.#change({ kind: 'promote', id });
    if (this.#isDryRun) return { before, after: onceJoined(after), hasChanged: false };
    return { before, after: await this.#joined(id), hasChanged: !isUnderWay };
  }

  /** A voter is only fed from now on. */
  async demote(id: number): Promise<MembersChange> {
    return this.#plain({ kind: 'demote', id });
  }

  /** A node is reached somewhere else from now on. */
  async move(address: MemberAddress): Promise<MembersChange> {
    return this.#plain({ kind: 'move', ...addressIn('moveMember', address) });
  }

  /**
   * Adds a node, or promotes one that is there, and removes another one: once that is a voter; or, where the leader misses the other one, as soon as that has the log. One that is
   * gone counts all the same, and with one voter more, another one that dies would take the majority along (raft-autopilot#55).
   */
  async replace(old: number, next: NewMember | number): Promise<MembersChange> {
    const nextId = typeof next === 'number' ? next : next.id;
    if (old === nextId) {
      const sentence = `node ${old} cannot take its own place: a node whose disk was lost is started with an empty directory and its old id, and is replaced automatically`;
      throw new RangeError(sentence);
    }
    const before = await this.list();
    const going = before.members.find(({ id }) => id === old);
    const coming = before.members.find(({ id }) => id === nextId);
    if (going === undefined) throw unknownMember(old, before, restOfReplacement(coming));
    const isFed = coming === undefined ? typeof next !== 'number' : coming.role === 'reader';
    if (isGone(going) && isFed) return this.#isDryRun ? this.#talkOfGone(before, old, next) : this.#replaceGone(before, old, next);
    const isVoter = coming?.role === 'voter';
    const joined = isVoter ? undefined : await this.#joinFor(old, next);
    if (this.#isDryRun) return { before, after: without(joined?.after ?? before, old), hasChanged: false };
    try {
      return { before, after: await this.#change({ kind: 'remove', id: old }), hasChanged: true };
    } catch (thrown) {
      if (!(thrown instanceof LogError) || thrown.code === 'ABORTED') throw thrown;
      // Somebody else has removed it meanwhile: all is as it was asked for.
      if (thrown.code === 'UNKNOWN_MEMBER') return { before, after: await this.list(), hasChanged: joined?.hasChanged === true };
      if (joined === undefined) throw thrown;
      const isKnown = thrown.outcome === 'failed';
      const rest = isKnown ? `node ${old} is still in the set` : `whether node ${old} is still in the set is not known`;
      const done = `node ${nextId} is a voter now, and ${rest}: ${thrown.message}`;
      throw new LogError(thrown.code, done, thrown.details, thrown.outcome, { cause: thrown });
    }
  }

  /** The node that comes for `old` becomes a voter beside it. */
  async #joinFor(old: number, next: NewMember | number): Promise<MembersChange> {
    try {
      return await (typeof next === 'number' ? this.promote(next) : this.add(next));
    } catch (thrown) {
      // A set that is full has no room for both.
      if (!(thrown instanceof LogError) || thrown.code !== 'UNSUPPORTED') throw thrown;
      throw new LogError(thrown.code, `${thrown.message}; remove node ${old} first, then there is room`, thrown.details, thrown.outcome, {
        cause: thrown,
      });
    }
  }

  /** What would come of {@link #replaceGone}, whose steps are others than those of a node that is there: in a set that is full it has room. */
  async #talkOfGone(before: LogMembers, old: number, next: NewMember | number): Promise<MembersChange> {
    const nextId = typeof next === 'number' ? next : next.id;
    const added = typeof next === 'number' ? before : (await this.add({ ...next, learner: true })).after;
    // That it could be removed is for the leader to say.
    await this.#change({ kind: 'remove', id: old });
    const members = added.members.map((member): LogMember => (member.id === nextId ? { ...member, role: 'learner' } : member));
    return { before, after: without(onceJoined({ ...added, members }), old), hasChanged: false };
  }

  async #replaceGone(before: LogMembers, old: number, next: NewMember | number): Promise<MembersChange> {
    const nextId = typeof next === 'number' ? next : next.id;
    await (typeof next === 'number' ? this.#joined(next) : this.add({ ...next, learner: true }));
    // It may have come back meanwhile: then the new one counts first, as for any that is there.
    const left = (await this.list()).members.find(({ id }) => id === old);
    if (left !== undefined && !isGone(left)) return { ...(await this.replace(old, nextId)), before };
    await this.#change({ kind: 'remove', id: old }).catch((thrown: unknown) => {
      // Somebody else has removed it meanwhile.
      if (!(thrown instanceof LogError) || thrown.code !== 'UNKNOWN_MEMBER') throw thrown;
    });
    try {
      return { before, after: (await this.promote(nextId)).after, hasChanged: true };
    } catch (thrown) {
      if (!(thrown instanceof LogError) || thrown.code === 'ABORTED') throw thrown;
      const done = `node ${old} was removed, and node ${nextId} is a learner, which is to be promoted: ${thrown.message}`;
      throw new LogError(thrown.code, done, thrown.details, thrown.outcome, { cause: thrown });
    }
  }

  async #plain(change: MemberChange): Promise<MembersChange> {
    const before = await this.list();
    const after = await this.#change(change);
    return { before, after, hasChanged: !this.#isDryRun };
  }

  /** Asks for a change until it is decided, also while the node has not come. */
  async #change(change: MemberChange): Promise<LogMembers> {
    // An attempt whose end is not known may have done what a later one is refused for, also after a wait for "another" change, which may be this one.
    const attempts: Attempts = { mayBeDone: false };
    for (;;) {
      try {
        return membersOf(await this.#ask(change, attempts));
      } catch (thrown) {
        if (!(thrown instanceof LogError)) throw thrown;
        const isComing = change.kind === 'add' && thrown.code === 'NOT_READY';
        const waits = isComing || thrown.code === 'CHANGE_IN_PROGRESS';
        if (!waits) throw attempts.mayBeDone && UNDECIDED.includes(thrown.code) ? notKnown(thrown) : thrown;
        this.#tell({ step: isComing ? 'coming' : 'changing', id: change.id, ...NOTHING_MEASURED, sentence: thrown.message });
      }
      await this.#pause();
    }
  }

  /** Waits until the node is what it is to become. */
  async #joined(id: number): Promise<LogMembers> {
    const pace = new Pace();
    for (;;) {
      const found = await this.list();
      const member = found.members.find((each) => each.id === id);
      if (member === undefined) throw unknownMember(id, found);
      const isDone = member.role === 'reader' ? member.state === 'current' : member.role === 'voter';
      if (isDone && found.isSettled) return found;
      this.#tell(pace.look(member));
      await this.#pause();
    }
  }

  async #ask(change: MemberChange | undefined, attempts: Attempts = { mayBeDone: false }): Promise<MembersAnswer> {
    this.#refuseAborted();
    const asked = askLeader(this.#ports, {
      what: change === undefined ? 'the list of nodes' : 'the change of nodes',
      timeoutMs: this.#timeoutMs,
      stops: (error) => error.code === 'CHANGE_IN_PROGRESS',
      ask: async (connection) => {
        if (change !== undefined && !this.#isDryRun) this.#mayHaveChanged = true;
        try {
          const answer = await connection.questions.members(change, this.#isDryRun && change !== undefined);
          attempts.mayBeDone ||= answer === undefined;
          this.#hasChanged ||= answer?.hasChanged === true;
          return answer;
        } catch (thrown) {
          if (!(thrown instanceof LogError) || change === undefined) throw thrown;
          if (attempts.mayBeDone && thrown.code === DONE_BEFORE[change.kind]) return connection.questions.members(undefined, false);
          attempts.mayBeDone ||= thrown.outcome === 'unknown';
          if (!attempts.mayBeDone) this.#mayHaveChanged = this.#hasChanged;
          throw thrown;
        }
      },
    });
    return this.#unlessAborted(asked);
  }

  #tell(progress: MemberProgress): void {
    this.#onProgress?.(progress);
  }

  #pause(): Promise<void> {
    return this.#unlessAborted(new Promise((resolve) => setTimeout(resolve, LOOK_MS)));
  }

  #aborted(): AbortedError {
    const soFar = this.#mayHaveChanged
      ? 'while it waited. What is in the log goes on: members() shows it.'
      : 'before anything was changed.';
    return new AbortedError(`This ${this.#what}`, soFar, this.#signal, this.#mayHaveChanged ? 'unknown' : 'failed');
  }

  #refuseAborted(): void {
    if (this.#signal?.aborted === true) throw this.#aborted();
  }

  #unlessAborted<Value>(work: Promise<Value>): Promise<Value> {
    const signal = this.#signal;
    if (signal === undefined) return work;
    this.#refuseAborted();
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(this.#aborted());
      onAbort(signal, abort);
      work.then(resolve, reject).finally(() => offAbort(signal, abort));
    });
  }
}

const NOTHING_MEASURED = { percent: null, bytesPerSecond: null, secondsLeft: null } as const;

/** How fast a node is fed. */
class Pace {
  #first: { readonly lagBytes: number; readonly atMs: number } | undefined;

  look({ id, percent, lagBytes, state, role }: LogMember): MemberProgress {
    const nowMs = performance.now();
    if (lagBytes !== null) this.#first ??= { lagBytes, atMs: nowMs };
    const seconds = this.#first === undefined ? 0 : (nowMs - this.#first.atMs) / 1000;
    const fed = this.#first === undefined || lagBytes === null ? 0 : this.#first.lagBytes - lagBytes;
    // Of less than a second nothing is said.
    const bytesPerSecond = seconds < 1 || fed <= 0 ? null : Math.round(fed / seconds);
    const secondsLeft = bytesPerSecond === null || lagBytes === null ? null : Math.ceil(lagBytes / bytesPerSecond);
    return { step: 'joining', id, percent, bytesPerSecond, secondsLeft, sentence: sentenceOf(id, state, role, percent, secondsLeft) };
  }
}

function sentenceOf(id: number, state: LogMemberState, role: LogMemberRole, percent: number | null, secondsLeft: number | null): string {
  if (state === 'unreachable') return `node ${id} is not connected with the leader`;
  if (state === 'cannotBeFed') return `node ${id} cannot be fed: see loglog status`;
  if (percent === null) return `node ${id} is about to be fed`;
  const left = secondsLeft === null || secondsLeft === 0 ? '' : `, ${timeText(secondsLeft)} left`;
  if (percent < 100 || state === 'joining') return `node ${id} is joining: ${percent} %${left}`;
  return role === 'learner' ? `node ${id} has the log, and is about to be a voter` : `node ${id} has the log`;
}

function timeText(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}

function unknownMember(id: number, { members }: LogMembers, more = ''): LogError {
  const which = members.map((each) => each.id).join(', ');
  return new LogError('UNKNOWN_MEMBER', `node ${id} is not in the set, which has the nodes ${which}${more}`);
}

/** What is left to do where an earlier replacement was ended after it had removed the old node. Whether it was is not known: it may be another node that was meant. */
function restOfReplacement(coming: LogMember | undefined): string {
  if (coming === undefined) return '';
  const { id, role } = coming;
  const rest = role === 'reader' ? `promote node ${id}` : role === 'learner' ? `nothing: node ${id} becomes a voter` : 'nothing';
  return `; if it was removed by a replacement that was ended, what is left is ${rest}`;
}

/** Whether a node is what it would be after `change`, or on its way to it. */
function isSame({ role, host, port, peerPort }: LogMember, change: Extract<MemberChange, { readonly kind: 'add' }>): boolean {
  const isRole = change.isReader ? role === 'reader' : role === 'learner' || role === 'voter';
  return isRole && host === change.host && port === change.port && peerPort === change.peerPort;
}

/** Throws a LogError `ALREADY_MEMBER` where another node answers where the new one is to be reached: it would never be. */
function refuseTaken({ members }: LogMembers, { id, host, peerPort }: MemberAddress): void {
  const other = members.find((each) => each.host === host && each.peerPort === peerPort && !isGone(each));
  if (other === undefined) return;
  const sentence = `node ${other.id} is reached by other nodes at ${addressOf(host, peerPort)}, and answers: node ${id} is to be reached somewhere else`;
  throw new LogError('ALREADY_MEMBER', sentence);
}

function additionOf(member: NewMember): Extract<MemberChange, { readonly kind: 'add' }> {
  checkOptions('addMember', member, NEW_MEMBER_OPTIONS, { called: 'a member' });
  const { learner = false, ...address } = member;
  return { kind: 'add', instance: NO_INSTANCE, isReader: checkBoolean('learner', learner), ...checkAddress(address) };
}

function addressIn(what: string, address: MemberAddress): MemberAddress {
  checkOptions(what, address, MEMBER_ADDRESS_OPTIONS, { called: 'a member' });
  return checkAddress(address);
}

function checkAddress({ id, host, port, peerPort }: MemberAddress): MemberAddress {
  checkId('id', id);
  checkInteger('port', port, 1, 65_535);
  checkInteger('peerPort', peerPort, 1, 65_535);
  if (typeof host !== 'string' || host.length > MAX_HOST_BYTES || !/^[\x21-\x7e]+$/.test(host))
    throw new TypeError(`host is a name or an address, not ${describe(host)}`);
  return { id, host, port, peerPort };
}

/** The id of a node, as it is given. */
export function checkId(name: string, id: unknown): number {
  return checkInteger(name, id, 1, MAX_NODE_ID);
}

function checkProgress(value: unknown): ChangeMembersOptions['onProgress'] {
  if (value === undefined || typeof value === 'function') return value as ChangeMembersOptions['onProgress'];
  throw new TypeError(`onProgress must be a function, not ${describe(value)}`);
}

/** Throws a TypeError for options of `what` that nobody knows. */
export function checkMemberOptions(what: string, options: unknown): void {
  checkOptions(what, options, what === 'members' ? MEMBERS_OPTIONS : CHANGE_MEMBERS_OPTIONS);
}
