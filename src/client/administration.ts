// What is asked of whoever leads, about the log as a whole: how much of it is kept, who may use it, which nodes have it, which consumers it knows. Asked again until one
// answers, because to ask twice does no harm.

import { LogError } from '../core/errors.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import { placeIn } from './bookmark.ts';
import { checkBoolean, checkInteger, MAX_TIMER_MS } from './checks.ts';
import type { ClientCore } from './clientCore.ts';
import { checkName } from './consumers/consumer.ts';
import { type ConsumerAsk, changeConsumer, consumerAsk, listConsumers, type NamedConsumer } from './consumers/nodeStore.ts';
import { withDeadline } from './deadline.ts';
import { askLevel } from './levels.ts';
import type { LogLevel } from './logLevel.ts';
import type { LogMembers, MembersChange } from './logMembers.ts';
import { checkId, checkMemberOptions, MemberWork } from './members.ts';
import {
  CONSUMERS_OPTIONS,
  checkOptions,
  FINALIZE_OPTIONS,
  LEVEL_OPTIONS,
  RESET_CONSUMER_OPTIONS,
  TRANSFER_OPTIONS,
  TRIM_OPTIONS,
} from './optionNames.ts';
import type {
  ChangeMembersOptions,
  ConsumersOptions,
  CreateTokenOptions,
  FinalizeOptions,
  LevelOptions,
  MemberAddress,
  MembersOptions,
  NewMember,
  ResetConsumerOptions,
  RetentionOptions,
  SetRetentionOptions,
  TokenOptions,
  TransferOptions,
  TrimOptions,
} from './options.ts';
import { askRetention, type LogRetention, retentionQuestion, setRetentionQuestion } from './retention.ts';
import { askTokens, givenTokenId, type LogToken, makeToken, type NewToken, shownToken, timeoutOf } from './tokens.ts';
import { type TransferResult, transferOffice } from './transfers.ts';
import { type TrimResult, trimLog } from './trims.ts';

/** The calls of a {@link LogClient} that are about the log as a whole. */
export abstract class LogAdministration {
  readonly #core: ClientCore;

  /** @internal */
  protected constructor(core: ClientCore) {
    this.#core = core;
  }

  /** All consumers whose positions the log's nodes keep, as the leader has them committed, by name. Rejects like {@link retention}. */
  async consumers(options: ConsumersOptions = {}): Promise<readonly NamedConsumer[]> {
    return listConsumers(this.#askOfConsumers('consumers', options, CONSUMERS_OPTIONS));
  }

  /**
   * Lets a consumer go on at `to`, or, without that, begin as if nobody had had its name; whoever has the name now can commit no more. Resolves when that is
   * committed. Rejects like {@link retention}, OFFSET_BEYOND_END; OTHER_CLUSTER or GENERATION_CHANGED for a bookmark of another log; RangeError for a place inside an
   * entry, and like a reading where that cannot be looked up, if this client may read at all. All of that takes `timeoutMs` at most.
   */
  async resetConsumer(name: string, options: ResetConsumerOptions = {}): Promise<void> {
    checkName(name);
    const ask = this.#askOfConsumers('resetConsumer', options, RESET_CONSUMER_OPTIONS);
    const position = options.to === undefined ? undefined : placeIn(this.#core.log, 'to', options.to);
    const askedMs = performance.now();
    if (position !== undefined && !(await this.#mayBegin(position, ask.timeoutMs))) {
      throw new RangeError(`to is offset ${position}, which is inside an entry: consumer ${JSON.stringify(name)} could not go on there`);
    }
    const timeoutMs = Math.max(1, Math.floor(ask.timeoutMs - (performance.now() - askedMs)));
    await changeConsumer(consumerAsk(this.#core, timeoutMs), `the reset of consumer ${JSON.stringify(name)}`, {
      what: 'reset',
      name,
      position,
    });
  }

  /** @internal Whether an entry begins or the log ends at `offset`, which is committed; true as well where that is trimmed. Rejects like a reading. */
  protected abstract isBoundary(offset: number, signal?: AbortSignal): Promise<boolean>;

  /** Whether a reading may begin at `offset`; true as well for a client that may not read, which cannot look. Rejects like a reading, and TIMEOUT. */
  async #mayBegin(offset: number, timeoutMs: number): Promise<boolean> {
    try {
      return await withDeadline('This look into the log', timeoutMs, (signal) => this.isBoundary(offset, signal));
    } catch (thrown) {
      // What is beyond the end now may be inside an entry when the leader is asked.
      if (!(thrown instanceof LogError && thrown.code === 'FORBIDDEN')) throw thrown;
      return true;
    }
  }

  /** Forgets a consumer; whoever has its name can commit no more. Resolves when that is committed, to whether it was there. Rejects like {@link retention}. */
  async removeConsumer(name: string, options: ConsumersOptions = {}): Promise<boolean> {
    checkName(name);
    const ask = this.#askOfConsumers('removeConsumer', options, CONSUMERS_OPTIONS);
    return (await changeConsumer(ask, `the removal of consumer ${JSON.stringify(name)}`, { what: 'remove', name })).hasChanged;
  }

  #askOfConsumers(what: string, options: ConsumersOptions, known: readonly string[]): ConsumerAsk {
    checkOptions(what, options, known);
    const timeoutMs = checkInteger('timeoutMs', options.timeoutMs ?? this.#core.settings.timeoutMs, 1, MAX_TIMER_MS);
    this.#core.check();
    return consumerAsk(this.#core, timeoutMs);
  }

  /**
   * Removes the beginning of the log, for good, on all nodes: what is before `to`, or all but the last `keepBytes`. The log then starts at that place, rounded
   * down to the end of a batch; bytes on disks are freed by whole segments. Nothing where it starts there or later already. Rejects OFFSET_BEYOND_END,
   * UNSUPPORTED, DAMAGED, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED.
   */
  async trim(options: TrimOptions): Promise<TrimResult> {
    checkOptions('trim', options, TRIM_OPTIONS);
    const { keepBytes, timeoutMs = this.#core.settings.timeoutMs, dryRun: isDryRun = false } = options;
    if ((options.to === undefined) === (keepBytes === undefined)) throw new TypeError('trim takes either to or keepBytes');
    checkBoolean('dryRun', isDryRun);
    checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    if (keepBytes !== undefined) checkInteger('keepBytes', keepBytes, 0, Number.MAX_SAFE_INTEGER);
    const given = options.to === undefined ? undefined : placeIn(this.#core.log, 'to', options.to);
    this.#core.check();
    const to = given ?? Math.max(0, (await this.#core.readNodes.end({ linearizable: true, atLeast: 0, timeoutMs })).end - (keepBytes ?? 0));
    return trimLog(this.#core.asks, { to, isDryRun, timeoutMs });
  }

  /**
   * How much of the log is kept, as the leader has it committed, and what there is. Rejects UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED, and UNKNOWN_OPCODE
   * of a node that knows no retention.
   */
  async retention(options: RetentionOptions = {}): Promise<LogRetention> {
    const question = retentionQuestion(options, this.#core.settings.timeoutMs);
    this.#core.check();
    return askRetention(this.#core.asks, question);
  }

  /**
   * Says how much of the log is kept from now on, on all nodes; what is left out stays as it is. What is more, or older, goes for good, by whole segments,
   * soon after this, and whenever there is more again. Resolves when that is committed. Rejects like {@link retention}, and UNSUPPORTED for a log of level 0; with TypeError
   * or RangeError for what cannot be meant.
   */
  async setRetention(options: SetRetentionOptions): Promise<LogRetention> {
    const question = setRetentionQuestion(options, this.#core.settings.timeoutMs);
    this.#core.check();
    return askRetention(this.#core.asks, question);
  }

  /** All tokens of the log, as the leader has them committed, by id; those that expired less than a day ago, too. Rejects like {@link retention}. */
  async tokens(options: TokenOptions = {}): Promise<readonly LogToken[]> {
    const timeoutMs = timeoutOf('tokens', options, this.#core.settings.timeoutMs);
    this.#core.check();
    return (await askTokens(this.#core.asks, { change: undefined, timeoutMs })).tokens.map(shownToken);
  }

  /**
   * Makes a token, which nodes that are started with `--tokens` take. It is made here: the nodes are told its hash, and this answer is the only place where it
   * stands. Resolves when it is committed: every node takes it as soon as it has it. Rejects like {@link retention}, TOO_MANY_TOKENS, UNSUPPORTED for a log of
   * level 0; with TypeError or RangeError for what cannot be meant.
   */
  async createToken(options: CreateTokenOptions): Promise<NewToken> {
    const { timeoutMs: given, ...about } = options;
    const timeoutMs = timeoutOf('createToken', { timeoutMs: given }, this.#core.settings.timeoutMs);
    const { token, record } = await makeToken(about, Date.now());
    this.#core.check();
    await askTokens(this.#core.asks, { change: { what: 'put', record, isRequest: false }, timeoutMs });
    return { token, ...shownToken(record) };
  }

  /**
   * Revokes the token `id`, which may also be given as the token itself. Resolves when that is committed, to whether there was one: each node takes it no more
   * as soon as it has that, which is within a second where it hears its leader. Rejects like {@link retention}.
   */
  async revokeToken(id: string, options: TokenOptions = {}): Promise<boolean> {
    const timeoutMs = timeoutOf('revokeToken', options, this.#core.settings.timeoutMs);
    const given = givenTokenId(id);
    this.#core.check();
    return (await askTokens(this.#core.asks, { change: { what: 'remove', id: given }, timeoutMs })).hasChanged;
  }

  /** The log's level, and which level each node knows. Rejects like {@link retention}. */
  async level(options: LevelOptions = {}): Promise<LogLevel> {
    checkOptions('level', options, LEVEL_OPTIONS);
    return this.#askLevel(options, false);
  }

  /**
   * Raises the log's level to the newest one, once all nodes are there and know it; builds that do not know it cannot take part, nor read the log, from then on. Nothing
   * where it has that already. Rejects like {@link level}; TIMEOUT says who holds it back.
   */
  async finalizeUpgrade(options: FinalizeOptions = {}): Promise<LogLevel> {
    checkOptions('finalizeUpgrade', options, FINALIZE_OPTIONS);
    return this.#askLevel(options, true);
  }

  #askLevel({ timeoutMs = this.#core.settings.timeoutMs, onWaiting }: FinalizeOptions, isFinal: boolean): Promise<LogLevel> {
    checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    this.#core.check();
    return askLevel(this.#core.asks, { isFinal, timeoutMs, onWaiting });
  }

  /**
   * Lets another node lead: appends wait a moment, and none is lost. Resolves once it does. Rejects like {@link retention}; NOT_READY where that node cannot take over now, the
   * leader leads on; UNSUPPORTED where there is no such node.
   */
  async transfer(options: TransferOptions = {}): Promise<TransferResult> {
    checkOptions('transfer', options, TRANSFER_OPTIONS);
    const { to = 0, dryRun = false, timeoutMs = this.#core.settings.timeoutMs } = options;
    checkInteger('to', to, options.to === undefined ? 0 : 1, MAX_NODE_ID);
    checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    this.#core.check();
    return transferOffice(this.#core.asks, { to, isDryRun: dryRun, timeoutMs });
  }

  /** The nodes of the log, as the leader knows them. Rejects like {@link retention}, ABORTED. */
  async members(options: MembersOptions = {}): Promise<LogMembers> {
    return this.#memberWork('members', options).list();
  }

  /**
   * Adds a node, while it comes and is fed, and resolves when it is a voter; one that is to stay a learner, when it has what is committed. A node that is there already, at
   * that address, is waited for. Rejects like {@link members}, and LEVEL_TOO_LOW, ALREADY_MEMBER, MEMBER_REMOVED, UNSUPPORTED: it was not added.
   */
  async addMember(member: NewMember, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('addMember', options).add(member);
  }

  /**
   * Removes a node, for good: its directory never has a part in the log again. Resolves when that is committed. Rejects like {@link members}, and LEVEL_TOO_LOW,
   * UNKNOWN_MEMBER, NO_MAJORITY: it was not removed.
   */
  async removeMember(id: number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('removeMember', options).remove(checkId('id', id));
  }

  /** Lets a learner that stays one become a voter, and resolves when it is one. Rejects like {@link removeMember}, and ALREADY_MEMBER. */
  async promoteMember(id: number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('promoteMember', options).promote(checkId('id', id));
  }

  /** Lets a voter be fed only, from now on. Rejects like {@link removeMember}, and ALREADY_MEMBER. */
  async demoteMember(id: number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('demoteMember', options).demote(checkId('id', id));
  }

  /**
   * Says where a node is reached from now on, as after it was started at another address. Resolves when that is committed. Rejects like {@link removeMember}, and
   * ALREADY_MEMBER: it is there already.
   */
  async moveMember(address: MemberAddress, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('moveMember', options).move(address);
  }

  /**
   * Adds a node, or promotes one that is there, and removes node `old` once that is a voter: two changes. Where node `old` is not there, the new one is a learner first, `old` is removed
   * once that has the log, and then it becomes a voter. Where a later one cannot be, the error says what was made. Rejects
   * like {@link addMember} and {@link removeMember}.
   */
  async replaceMember(old: number, member: NewMember | number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    const next = typeof member === 'number' ? checkId('member', member) : member;
    return this.#memberWork('replaceMember', options).replace(checkId('old', old), next);
  }

  #memberWork(what: string, options: ChangeMembersOptions | MembersOptions): MemberWork {
    checkMemberOptions(what, options);
    const work = new MemberWork(this.#core.asks, what, options, this.#core.settings.timeoutMs);
    this.#core.check();
    return work;
  }
}
