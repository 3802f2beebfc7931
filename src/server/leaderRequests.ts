// Requests that a leader carries out, of what the log itself says: trims, retention, levels, the office, tokens, nodes, consumers and sessions of producers. Each
// is answered once it is done, which may take a while.

import { scopeNames } from '../core/access.ts';
import { MIN_RETENTION_AGE_MS, MIN_RETENTION_BYTES } from '../core/limits.ts';
import type { MemberChange } from '../core/memberChanges.ts';
import { addressOf } from '../core/peers.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Access } from '../node/access.ts';
import type { Consumers } from '../node/consumers.ts';
import type { Handover } from '../node/handover.ts';
import type { LevelStatus, Levels } from '../node/levels.ts';
import type { Members } from '../node/members.ts';
import type { Retention } from '../node/retention.ts';
import type { Sessions } from '../node/sessions.ts';
import type { Trims } from '../node/trims.ts';
import {
  encodeTransferred,
  RETENTION,
  RETENTION_TELL_CONSUMERS,
  type Request,
  TRANSFER,
  TRANSFER_DRY_RUN,
  TRIM,
  TRIM_DRY_RUN,
  UPGRADE,
  UPGRADE_FINALIZE,
} from '../protocol/client.ts';
import {
  CONSUMERS,
  type ConsumerQuestion,
  type ConsumersAnswer,
  consumersRequestIn,
  encodeConsumersAnswer,
} from '../protocol/consumers.ts';
import { encodeLevels } from '../protocol/levels.ts';
import { encodeMembers, MEMBERS, MEMBERS_DRY_RUN, membersRequestIn } from '../protocol/members.ts';
import { encodeKept, retentionIn } from '../protocol/retention.ts';
import { encodeSessionOpened, OPEN_SESSION, openSessionIn } from '../protocol/sessions.ts';
import { encodeTokens, TOKENS, type TokenChange, tokensRequestIn } from '../protocol/tokens.ts';
import type { Answers, Told } from './answers.ts';
import type { Session } from './session.ts';

/** Who carries them out: parts of an engine. */
export interface LeaderTargets {
  readonly memory: TailMemory;
  readonly trims: Pick<Trims, 'request'>;
  readonly retention: Pick<Retention, 'request'>;
  readonly sessions: Pick<Sessions, 'request'>;
  readonly levels: Pick<Levels, 'request'>;
  readonly handover: Pick<Handover, 'request'>;
  readonly members: Pick<Members, 'request'>;
  readonly access: Pick<Access, 'request' | 'list'>;
  readonly consumers: Pick<Consumers, 'request' | 'list'>;
}

/** What of a change of tokens is told; undefined: there is none. */
function auditedChange(change: TokenChange | undefined): Told | undefined {
  if (change === undefined) return undefined;
  if (change.what === 'remove') return { what: 'revoke_token', detail: change.id };
  const { id, name, scopes } = change.record;
  return { what: 'create_token', detail: `${id} ${JSON.stringify(name)} with the scopes ${scopeNames(scopes).join(', ')}` };
}

/** What of a change of nodes is told. */
function detailOf(change: MemberChange): string {
  if (change.kind !== 'add') return `${change.kind} node ${change.id}`;
  const { id, host, port, peerPort, isReader } = change;
  return `add node ${id} at ${addressOf(host, port)}/${peerPort}${isReader ? ', to stay a learner' : ''}`;
}

/** What of a change of consumers is told; undefined: it is what consumers themselves do. */
function auditedConsumer({ change }: ConsumerQuestion): Told | undefined {
  if (change.what === 'remove') return { what: 'remove_consumer', detail: JSON.stringify(change.name) };
  if (change.what !== 'reset') return undefined;
  return { what: 'reset_consumer', detail: `${JSON.stringify(change.name)} to ${change.position ?? 'no position'}` };
}

export class LeaderRequests {
  readonly #memory: TailMemory;
  readonly #trims: LeaderTargets['trims'];
  readonly #retention: LeaderTargets['retention'];
  readonly #sessions: LeaderTargets['sessions'];
  readonly #levels: LeaderTargets['levels'];
  readonly #handover: LeaderTargets['handover'];
  readonly #members: LeaderTargets['members'];
  readonly #access: LeaderTargets['access'];
  readonly #consumers: LeaderTargets['consumers'];
  readonly #answers: Answers;

  constructor({ memory, trims, retention, sessions, levels, handover, members, access, consumers }: LeaderTargets, answers: Answers) {
    this.#memory = memory;
    this.#trims = trims;
    this.#retention = retention;
    this.#sessions = sessions;
    this.#levels = levels;
    this.#handover = handover;
    this.#members = members;
    this.#access = access;
    this.#consumers = consumers;
    this.#answers = answers;
  }

  /** `body`: what follows the header, valid only during the call. Other opcodes than these are nobody's. */
  handle(session: Session, request: Request, body: Uint8Array): void {
    switch (request.opcode) {
      case TRIM:
        this.#trim(session, request);
        break;
      case RETENTION:
        this.#keep(session, request, body);
        break;
      case UPGRADE:
        this.#upgrade(session, request);
        break;
      case TRANSFER:
        this.#transfer(session, request);
        break;
      case TOKENS:
        this.#tokens(session, request.requestId, body);
        break;
      case MEMBERS:
        this.#changeMembers(session, request, body);
        break;
      case CONSUMERS:
        this.#askConsumers(session, request.requestId, body);
        break;
      case OPEN_SESSION:
        this.#openSession(session, request, body);
        break;
    }
  }

  #openSession(session: Session, { requestId, offset }: Request, body: Uint8Array): void {
    const producer = openSessionIn(body);
    if (typeof producer === 'string') {
      session.sendError(requestId, 'MALFORMED', 0, producer);
      return;
    }
    const work = this.#sessions.request(producer, offset, session);
    this.#answers.answer(session, requestId, work, (opened) => session.send(encodeSessionOpened(requestId, opened)));
  }

  #trim(session: Session, { requestId, flags, offset }: Request): void {
    const isDryRun = (flags & TRIM_DRY_RUN) !== 0;
    this.#answers.answer(
      session,
      requestId,
      this.#trims.request(offset, isDryRun),
      (start) => session.sendEnd(requestId, start, this.#memory.commit, this.#memory.word(WORD.TERM)),
      isDryRun ? undefined : { what: 'trim', detail: `to offset ${offset}` },
    );
  }

  #keep(session: Session, request: Request, body: Uint8Array): void {
    const { requestId, flags } = request;
    const change = retentionIn(request, body);
    if (change === undefined) {
      const sentence = `a RETENTION sets 0 or at least ${MIN_RETENTION_BYTES} bytes, 0 or at least ${MIN_RETENTION_AGE_MS} ms, at most 2^53 - 1, what it does not set is zero, and for consumers it has 8 bytes after its header`;
      session.sendError(requestId, 'MALFORMED', 0, sentence);
      return;
    }
    const { bytes, ageMs, consumerBytes } = change;
    const parts = [
      bytes !== undefined && `${bytes} bytes`,
      ageMs !== undefined && `${ageMs} ms`,
      consumerBytes !== undefined && `${consumerBytes} bytes for consumers`,
    ];
    const detail = `to ${parts.filter(Boolean).join(' and ')}`;
    const tells = (flags & RETENTION_TELL_CONSUMERS) !== 0;
    this.#answers.answer(
      session,
      requestId,
      this.#retention.request(change),
      ({ policy: { consumerBytes: forConsumers = 0, ...policy }, ...kept }) =>
        session.send(encodeKept({ requestId, ...policy, ...kept, ...(tells ? { consumerBytes: forConsumers } : {}) })),
      Object.keys(change).length === 0 ? undefined : { what: 'set_retention', detail },
    );
  }

  #upgrade(session: Session, { requestId, flags }: Request): void {
    const isFinal = (flags & UPGRADE_FINALIZE) !== 0;
    const send = ({ level, newest, nodes }: LevelStatus): void => {
      const heard = nodes.map(({ id, isConnected, levels }) => ({
        id,
        isHeard: isConnected && levels !== null,
        lowest: levels?.lowest ?? 0,
        highest: levels?.highest ?? 0,
      }));
      session.send(encodeLevels({ requestId, level, newest, nodes: heard }));
    };
    const audited = isFinal ? ({ what: 'finalize_upgrade', detail: 'to the newest level' } as const) : undefined;
    this.#answers.answer(session, requestId, this.#levels.request(isFinal), send, audited);
  }

  #transfer(session: Session, { requestId, flags, a: to, b: term }: Request): void {
    const isDryRun = (flags & TRANSFER_DRY_RUN) !== 0;
    this.#answers.answer(
      session,
      requestId,
      this.#handover.request({ to, term, isDryRun }),
      (office) => session.send(encodeTransferred(requestId, office.leader, office.term)),
      isDryRun ? undefined : { what: 'transfer', detail: to === 0 ? 'to any node' : `to node ${to}` },
    );
  }

  #tokens(session: Session, requestId: number, body: Uint8Array): void {
    const change = tokensRequestIn(body);
    if (change === 'wrong') {
      session.sendError(requestId, 'MALFORMED', 0, 'a TOKENS has no body, or one that puts or removes a token');
      return;
    }
    const work =
      change === undefined
        ? this.#access.list().then((tokens) => ({ hasChanged: false, tokens }))
        : this.#access.request(change).then(({ isNew }) => ({ hasChanged: isNew, tokens: [] }));
    this.#answers.answer(session, requestId, work, (answer) => session.send(encodeTokens({ requestId, ...answer })), auditedChange(change));
  }

  #changeMembers(session: Session, { requestId, flags }: Request, body: Uint8Array): void {
    const isDryRun = (flags & MEMBERS_DRY_RUN) !== 0;
    const change = membersRequestIn(body);
    if (change === 'wrong') {
      session.sendError(requestId, 'MALFORMED', 0, 'a MEMBERS has no body, or one that adds, removes, promotes, demotes or moves a node');
      return;
    }
    this.#answers.answer(
      session,
      requestId,
      this.#members.request(change, isDryRun),
      (status) => session.send(encodeMembers({ requestId, ...status })),
      change === undefined || isDryRun ? undefined : { what: 'change_nodes', detail: detailOf(change) },
    );
  }

  async #listConsumers(): Promise<Omit<ConsumersAnswer, 'requestId'>> {
    return { hasChanged: false, generation: undefined, ...(await this.#consumers.list()) };
  }

  async #changeConsumer(session: Session, { change, generation: asked }: ConsumerQuestion): Promise<Omit<ConsumersAnswer, 'requestId'>> {
    const { isNew, generation, consumer } = await this.#consumers.request(change, asked, session);
    return { hasChanged: isNew, generation, start: 0, dataEnd: 0, consumers: consumer === undefined ? [] : [consumer] };
  }

  #askConsumers(session: Session, requestId: number, body: Uint8Array): void {
    const question = consumersRequestIn(body);
    if (question === 'wrong') {
      const sentence = 'a CONSUMERS has no body, or 8 bytes of the generation and one claim, commit, reset or removal';
      session.sendError(requestId, 'MALFORMED', 0, sentence);
      return;
    }
    const work = question === undefined ? this.#listConsumers() : this.#changeConsumer(session, question);
    const audited = question === undefined ? undefined : auditedConsumer(question);
    this.#answers.answer(session, requestId, work, (answer) => session.send(encodeConsumersAnswer({ requestId, ...answer })), audited);
  }
}
