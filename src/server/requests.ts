// What each request of the client protocol does. Every field is checked here before anything acts on it (docs/PROTOCOL.md).

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { scopeNames } from '../core/access.ts';
import { viewOf } from '../core/bytes.ts';
import { isLogError, LogError } from '../core/errors.ts';
import { MIN_RETENTION_AGE_MS, MIN_RETENTION_BYTES } from '../core/limits.ts';
import type { MemberChange } from '../core/memberChanges.ts';
import { addressOf } from '../core/peers.ts';
import { MAX_CREDIT_BYTES, MAX_READ_BYTES, MAX_UNACKNOWLEDGED_APPENDS, MAX_WAIT_MS } from '../core/servingLimits.ts';
import { MAX_UPLOAD_CHUNK_BYTES } from '../core/uploadLimits.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Access } from '../node/access.ts';
import type { Appends } from '../node/appends.ts';
import type { Reading } from '../node/caller.ts';
import { conditionOf } from '../node/chain.ts';
import type { Consumers } from '../node/consumers.ts';
import type { Ends } from '../node/ends.ts';
import type { Handover } from '../node/handover.ts';
import type { LevelStatus, Levels } from '../node/levels.ts';
import type { Loop } from '../node/loop.ts';
import type { Members } from '../node/members.ts';
import type { Readings } from '../node/reading.ts';
import type { Retention } from '../node/retention.ts';
import type { Sessions } from '../node/sessions.ts';
import type { Times } from '../node/times.ts';
import type { Trims } from '../node/trims.ts';
import type { Uploads } from '../node/uploads.ts';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  APPEND_RECEIVED,
  APPEND_UPLOADED,
  CANCEL,
  CREDIT,
  decodeRequest,
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
  encodeCancelled,
  encodeFound,
  encodeTransferred,
  FIND,
  INTRODUCE,
  MESSAGE_HEADER_BYTES,
  READ,
  READ_TIMED,
  RETENTION,
  RETENTION_AGE,
  RETENTION_BYTES,
  RETENTION_CONSUMERS,
  RETENTION_TELL_CONSUMERS,
  type Request,
  SUBSCRIBE,
  SUBSCRIBE_KEPT,
  TRANSFER,
  TRANSFER_DRY_RUN,
  TRIM,
  TRIM_DRY_RUN,
  UPGRADE,
  UPGRADE_FINALIZE,
  UPLOAD,
} from '../protocol/client.ts';
import {
  CONSUMERS,
  type ConsumerQuestion,
  type ConsumersAnswer,
  consumersRequestIn,
  encodeConsumersAnswer,
} from '../protocol/consumers.ts';
import { CLIENT_UPLOADS, decodeIntroduce, PROTOCOL_VERSION } from '../protocol/greeting.ts';
import { encodeLevels } from '../protocol/levels.ts';
import { encodeMembers, MEMBERS, MEMBERS_DRY_RUN, membersRequestIn } from '../protocol/members.ts';
import { encodeKept, retentionIn } from '../protocol/retention.ts';
import {
  APPEND_SESSION,
  APPEND_SESSION_BYTES,
  appendSessionIn,
  encodeSessionOpened,
  OPEN_AGAIN,
  OPEN_SESSION,
  openSessionIn,
} from '../protocol/sessions.ts';
import { encodeTokens, TOKENS, type TokenChange, tokensRequestIn } from '../protocol/tokens.ts';
import { APPEND_UPLOAD_BYTES, decodeAppendUpload, UPLOAD_ID_BYTES } from '../protocol/uploads.ts';
import { COUNTS, isOverQuota } from './accounts.ts';
import type { Audit, Audited } from './audit.ts';
import { forbidden, scopeNeeded } from './rights.ts';
import { ENDINGS, type Session } from './session.ts';

/** Flags by opcode; others are refused, so that they can get a meaning one day. */
const KNOWN_FLAGS: Readonly<Record<number, number>> = {
  [APPEND]: APPEND_RECEIVED | APPEND_CONDITIONAL | APPEND_CHAINED | APPEND_SESSION,
  [OPEN_SESSION]: OPEN_AGAIN,
  [READ]: READ_TIMED,
  [SUBSCRIBE]: READ_TIMED | SUBSCRIBE_KEPT,
  [CREDIT]: 0,
  [CANCEL]: 0,
  [END]: END_LINEARIZABLE | END_AT_LEAST,
  [TRIM]: TRIM_DRY_RUN,
  [FIND]: 0,
  [RETENTION]: RETENTION_BYTES | RETENTION_AGE | RETENTION_TELL_CONSUMERS | RETENTION_CONSUMERS,
  [UPGRADE]: UPGRADE_FINALIZE,
  [TRANSFER]: TRANSFER_DRY_RUN,
  [TOKENS]: 0,
  [MEMBERS]: MEMBERS_DRY_RUN,
  [CONSUMERS]: 0,
  [INTRODUCE]: 0,
};

/** The same with uploads, for clients that understand them, on a node that takes them. */
const KNOWN_WITH_UPLOADS: Readonly<Record<number, number>> = {
  ...KNOWN_FLAGS,
  [APPEND]: APPEND_RECEIVED | APPEND_CONDITIONAL | APPEND_CHAINED | APPEND_SESSION | APPEND_UPLOADED,
  [UPLOAD]: 0,
};

/** What of a change of tokens is told; undefined: there is none. */
function auditedChange(change: TokenChange | undefined): { readonly what: Audited; readonly detail: string } | undefined {
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
function auditedConsumer({ change }: ConsumerQuestion): { readonly what: Audited; readonly detail: string } | undefined {
  if (change.what === 'remove') return { what: 'remove_consumer', detail: JSON.stringify(change.name) };
  if (change.what !== 'reset') return undefined;
  return { what: 'reset_consumer', detail: `${JSON.stringify(change.name)} to ${change.position ?? 'no position'}` };
}

/** Opcodes of requests that may have a body. */
const WITH_BODY: readonly number[] = [APPEND, INTRODUCE, UPLOAD, TOKENS, MEMBERS, CONSUMERS, RETENTION, OPEN_SESSION];

/** Room above the largest batch, so that a slightly too large one gets an answer that says so before uWS closes the connection. */
const MESSAGE_SLACK_BYTES = 64 * 1024;

/** Largest message that a client may send. */
export function maxMessageBytes({ maxBatchBytes }: Pick<RequestLimits, 'maxBatchBytes'>): number {
  return MESSAGE_HEADER_BYTES + maxBatchBytes + MESSAGE_SLACK_BYTES;
}

export interface RequestLimits {
  readonly windowBytes: number;
  readonly maxBatchBytes: number;
}

/** Whose requests are served: an engine's. */
export interface RequestTargets {
  readonly memory: TailMemory;
  readonly appends: Appends;
  readonly readings: Readings;
  readonly ends: Ends;
  readonly uploads: Uploads;
  readonly trims: Pick<Trims, 'request'>;
  readonly times: Pick<Times, 'find'>;
  readonly retention: Pick<Retention, 'request'>;
  readonly sessions: Pick<Sessions, 'request'>;
  readonly levels: Pick<Levels, 'request'>;
  readonly handover: Pick<Handover, 'request'>;
  readonly members: Pick<Members, 'request'>;
  readonly access: Pick<Access, 'request' | 'list'>;
  readonly consumers: Pick<Consumers, 'request' | 'list'>;
  /** Gets what was thrown where nothing was to be. */
  broke(thrown: unknown): void;
  readonly loop: Pick<Loop, 'nowMs'>;
}

/** What follows a message's header. */
function bodyOf({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset + MESSAGE_HEADER_BYTES, byteLength - MESSAGE_HEADER_BYTES);
}

/** Called when a client has introduced itself: it is to be greeted anew. */
export type OnIntroduced = (session: Session) => void;

function refuseUnknown(session: Session, requestId: number, code: 'UNKNOWN_OPCODE' | 'UNKNOWN_FLAGS', sentence: string): void {
  if (session.introduction !== undefined) session.sendError(requestId, code, 0, sentence);
  else session.fail(requestId, code === 'UNKNOWN_FLAGS' ? 'MALFORMED' : code, sentence);
}

export class Requests {
  readonly #memory: TailMemory;
  readonly #appends: Appends;
  readonly #readings: Readings;
  readonly #ends: Ends;
  readonly #uploads: Uploads;
  readonly #trims: RequestTargets['trims'];
  readonly #times: RequestTargets['times'];
  readonly #retention: RequestTargets['retention'];
  readonly #sessions: RequestTargets['sessions'];
  readonly #levels: RequestTargets['levels'];
  readonly #handover: RequestTargets['handover'];
  readonly #members: RequestTargets['members'];
  readonly #access: RequestTargets['access'];
  readonly #consumers: RequestTargets['consumers'];
  readonly #broke: (thrown: unknown) => void;
  readonly #loop: Pick<Loop, 'nowMs'>;
  readonly #limits: RequestLimits;
  readonly #introduced: OnIntroduced;
  readonly #audit: Audit | undefined;
  /** The request being handled; reused, because a request never outlives its message. */
  readonly #request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };

  constructor(targets: RequestTargets, limits: RequestLimits, introduced: OnIntroduced, audit?: Audit) {
    this.#audit = audit;
    const { memory, appends, readings, ends, uploads, trims, loop } = targets;
    this.#trims = trims;
    this.#times = targets.times;
    this.#retention = targets.retention;
    this.#sessions = targets.sessions;
    this.#levels = targets.levels;
    this.#handover = targets.handover;
    this.#members = targets.members;
    this.#access = targets.access;
    this.#consumers = targets.consumers;
    this.#broke = (thrown) => targets.broke(thrown);
    this.#memory = memory;
    this.#appends = appends;
    this.#readings = readings;
    this.#ends = ends;
    this.#uploads = uploads;
    this.#loop = loop;
    this.#limits = limits;
    this.#introduced = introduced;
  }

  /** Handles one binary message; its memory is valid only during the call. */
  handle(session: Session, message: Uint8Array): void {
    if (session.isClosed) return;
    const request = this.#request;
    if (!decodeRequest(viewOf(message), request)) {
      session.fail(
        0,
        'MALFORMED',
        `a request has a header of ${MESSAGE_HEADER_BYTES} bytes with two zero bytes at 2; this message of ${message.byteLength} bytes has not`,
      );
      return;
    }
    if (!this.#isKnown(session, request, message.byteLength)) return;
    const needed = scopeNeeded(request.opcode, request.flags);
    if ((session.rights & needed) !== needed) {
      this.#forbid(session, request, needed);
      return;
    }
    switch (request.opcode) {
      case INTRODUCE:
        this.#introduce(session, request, bodyOf(message));
        break;
      case APPEND:
        this.#append(session, request, bodyOf(message));
        break;
      case READ:
      case SUBSCRIBE:
        this.#read(session, request);
        break;
      case CREDIT:
        this.#credit(session, request);
        break;
      case CANCEL:
        this.#cancel(session, request.requestId);
        break;
      case END:
        this.#end(session, request);
        break;
      case TRIM:
        this.#trim(session, request);
        break;
      case FIND:
        this.#find(session, request);
        break;
      case RETENTION:
        this.#keep(session, request, bodyOf(message));
        break;
      case UPGRADE:
        this.#upgrade(session, request);
        break;
      case TRANSFER:
        this.#transfer(session, request);
        break;
      case TOKENS:
        this.#tokens(session, request.requestId, bodyOf(message));
        break;
      case MEMBERS:
        this.#changeMembers(session, request, bodyOf(message));
        break;
      case CONSUMERS:
        this.#askConsumers(session, request.requestId, bodyOf(message));
        break;
      case OPEN_SESSION:
        this.#openSession(session, request, bodyOf(message));
        break;
      case UPLOAD:
        this.#upload(session, request, bodyOf(message));
        break;
    }
  }

  /**
   * Whether the opcode, its flags and that there is a body are what this version knows; otherwise it has been refused. A client that introduced itself is
   * refused without an end of the connection: it may try what only later versions know.
   */
  #isKnown(session: Session, request: Request, messageBytes: number): boolean {
    const { opcode, flags, requestId } = request;
    const isFirst = !session.hasAsked;
    session.hasAsked = true;
    const hasUploads = this.#uploads.isOn && ((session.introduction?.features ?? 0) & CLIENT_UPLOADS) !== 0;
    const knownFlags = (hasUploads ? KNOWN_WITH_UPLOADS : KNOWN_FLAGS)[opcode];
    // First of all: what flags and a body may mean, only those know who gave the opcode its meaning.
    if (knownFlags === undefined) {
      refuseUnknown(session, requestId, 'UNKNOWN_OPCODE', `opcode ${opcode} is not one of protocol version ${PROTOCOL_VERSION}`);
      return false;
    }
    if ((flags & ~knownFlags) !== 0) {
      // It has its number in its chain like any other append that is refused.
      if (opcode === APPEND) conditionOf(session, request);
      const sentence = `flags ${flags} have bits that protocol version ${PROTOCOL_VERSION} does not define for opcode ${opcode}`;
      refuseUnknown(session, requestId, 'UNKNOWN_FLAGS', sentence);
      return false;
    }
    const bodyBytes = messageBytes - MESSAGE_HEADER_BYTES;
    if (bodyBytes !== 0 && !WITH_BODY.includes(opcode)) {
      session.fail(
        requestId,
        'MALFORMED',
        `only APPEND, INTRODUCE, UPLOAD, TOKENS, MEMBERS, CONSUMERS, RETENTION and OPEN_SESSION have a body; this message has ${bodyBytes} bytes after its header`,
      );
      return false;
    }
    if (opcode === INTRODUCE && !isFirst) {
      session.fail(requestId, 'MALFORMED', 'INTRODUCE is the first request of a connection, or is not sent');
      return false;
    }
    return true;
  }

  /** What was asked for needs a scope that the session does not have, or has no more. */
  #forbid(session: Session, request: Request, needed: number): void {
    const { requestId, opcode } = request;
    // It has its number in its chain like any other append that is refused.
    if (opcode === APPEND) conditionOf(session, request);
    const { ending, rights } = session;
    if (ending !== undefined) session.sendError(requestId, ending, 0, ENDINGS[ending]);
    else session.sendError(requestId, 'FORBIDDEN', needed, forbidden(rights, needed));
  }

  /** The answer is a HELLO that says more. */
  #introduce(session: Session, { requestId, a, b }: Request, body: Uint8Array): void {
    const introduction = decodeIntroduce(a, b, body);
    if (typeof introduction === 'string') {
      session.fail(requestId, 'MALFORMED', introduction);
      return;
    }
    const { lowestVersion, highestVersion } = introduction;
    if (lowestVersion > PROTOCOL_VERSION || highestVersion < PROTOCOL_VERSION) {
      const theirs = lowestVersion === highestVersion ? `version ${lowestVersion}` : `versions ${lowestVersion} to ${highestVersion}`;
      session.fail(requestId, 'OTHER_VERSION', `this node speaks version ${PROTOCOL_VERSION} of the protocol, and the client ${theirs}`);
      return;
    }
    session.introduction = introduction;
    this.#introduced(session);
  }

  #append(session: Session, request: Request, body: Uint8Array): void {
    const { requestId, flags } = request;
    const isUploaded = (flags & APPEND_UPLOADED) !== 0;
    const upload = isUploaded ? decodeAppendUpload(body) : undefined;
    if (isUploaded && upload === undefined) {
      session.fail(requestId, 'MALFORMED', `the body of an UPLOADED append begins with ${APPEND_UPLOAD_BYTES} bytes about the upload`);
      return;
    }
    const rest = isUploaded ? body.subarray(APPEND_UPLOAD_BYTES) : body;
    const isOfSession = (flags & APPEND_SESSION) !== 0;
    const of = isOfSession ? appendSessionIn(rest) : undefined;
    if (isOfSession && of === undefined) {
      const sentence = `right before the entries of an append of a session are ${APPEND_SESSION_BYTES} bytes: its number and its sequence, 1 to 2^53 - 1`;
      session.fail(requestId, 'MALFORMED', sentence);
      return;
    }
    const entries = isOfSession ? rest.subarray(APPEND_SESSION_BYTES) : rest;
    const isChained = (flags & APPEND_CHAINED) !== 0;
    if (isChained && (flags & APPEND_CONDITIONAL) !== 0) {
      session.fail(requestId, 'MALFORMED', 'an APPEND is CONDITIONAL, the head of a chain, or CHAINED, a link of it, but not both');
      return;
    }
    if (isChained && session.chain === undefined) {
      session.fail(requestId, 'MALFORMED', 'a CHAINED append goes on with a chain, but this connection has sent no CONDITIONAL one');
      return;
    }
    if (isChained && (request.offset !== 0 || request.b !== 0)) {
      session.fail(requestId, 'MALFORMED', 'a CHAINED append has no expected end and no term of its own: its offset and b are zero');
      return;
    }
    const condition = conditionOf(session, request);
    const { windowBytes, maxBatchBytes } = this.#limits;
    if (session.unacknowledgedBytes > 0 && session.unacknowledgedBytes + entries.length > windowBytes) {
      session.fail(
        requestId,
        'WINDOW_EXCEEDED',
        `${session.unacknowledgedBytes} bytes are unacknowledged and ${entries.length} more came; the window is ${windowBytes}`,
      );
    } else if (session.unacknowledgedAppends >= MAX_UNACKNOWLEDGED_APPENDS) {
      session.fail(requestId, 'TOO_MANY_REQUESTS', `${MAX_UNACKNOWLEDGED_APPENDS} appends are unacknowledged: put more entries into each`);
    } else if (entries.length === 0 || request.a === 0) {
      session.sendError(requestId, 'MALFORMED', 0, 'an APPEND holds at least one entry');
    } else if (entries.length > maxBatchBytes) {
      session.sendError(
        requestId,
        'ENTRY_TOO_LARGE',
        maxBatchBytes,
        `${entries.length} bytes of entries in one APPEND; the limit is ${maxBatchBytes}`,
      );
    } else {
      const received = (flags & APPEND_RECEIVED) !== 0;
      this.#appends.accept({
        caller: session,
        requestId,
        entries,
        entryCount: request.a,
        received,
        condition,
        upload: upload === undefined ? undefined : { ...upload, client: session.number },
        session: of,
        arrivedMs: this.#loop.nowMs(),
      });
    }
  }

  #openSession(session: Session, { requestId, flags }: Request, body: Uint8Array): void {
    const producer = openSessionIn(body);
    if (typeof producer === 'string') {
      session.sendError(requestId, 'MALFORMED', 0, producer);
      return;
    }
    const work = this.#sessions.request(producer, (flags & OPEN_AGAIN) !== 0, session);
    this.#answer(session, requestId, work, (opened) => session.send(encodeSessionOpened(requestId, opened)));
  }

  #upload(session: Session, { requestId, offset: at, a: total }: Request, body: Uint8Array): void {
    const chunkBytes = body.length - UPLOAD_ID_BYTES;
    if (chunkBytes < 1 || chunkBytes > MAX_UPLOAD_CHUNK_BYTES || total < ENTRY_OVERHEAD_BYTES) {
      const sentence = `an UPLOAD has an id of ${UPLOAD_ID_BYTES} bytes and 1 to ${MAX_UPLOAD_CHUNK_BYTES} bytes of an append's entries`;
      session.fail(requestId, 'MALFORMED', sentence);
      return;
    }
    if (at === 0 && isOverQuota(session, requestId, 'stagedUploads', (one) => this.#uploads.countOf(one))) return;
    const id = body.subarray(0, UPLOAD_ID_BYTES);
    this.#uploads.take({ caller: session, requestId, id, at, total, chunk: body.subarray(UPLOAD_ID_BYTES) });
  }

  #end(session: Session, { requestId, flags, offset, b }: Request): void {
    const isLinearizable = (flags & END_LINEARIZABLE) !== 0;
    const atLeast = (flags & END_AT_LEAST) === 0 ? 0 : offset;
    if (atLeast > 0 && b > 0 && isOverQuota(session, requestId, 'waits', COUNTS.waits)) return;
    this.#ends.start({ caller: session, requestId, isLinearizable, atLeast, waitMs: Math.min(b, MAX_WAIT_MS) });
  }

  #trim(session: Session, { requestId, flags, offset }: Request): void {
    const isDryRun = (flags & TRIM_DRY_RUN) !== 0;
    this.#answer(
      session,
      requestId,
      this.#trims.request(offset, isDryRun),
      (start) => session.sendEnd(requestId, start, this.#memory.commit, this.#memory.word(WORD.TERM)),
      isDryRun ? undefined : { what: 'trim', detail: `to offset ${offset}` },
    );
  }

  #find(session: Session, { requestId, offset: timeMs }: Request): void {
    this.#times
      .find(session, timeMs)
      .then(
        (offset) => {
          if (!session.isClosed) session.send(encodeFound(requestId, offset, this.#memory.commit));
        },
        (thrown: unknown) => this.#refuse(session, requestId, thrown),
      )
      .then(() => session.rested());
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
    this.#answer(
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
    this.#answer(session, requestId, this.#levels.request(isFinal), send, audited);
  }

  #transfer(session: Session, { requestId, flags, a: to, b: term }: Request): void {
    const isDryRun = (flags & TRANSFER_DRY_RUN) !== 0;
    this.#answer(
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
    this.#answer(session, requestId, work, (answer) => session.send(encodeTokens({ requestId, ...answer })), auditedChange(change));
  }

  #changeMembers(session: Session, { requestId, flags }: Request, body: Uint8Array): void {
    const isDryRun = (flags & MEMBERS_DRY_RUN) !== 0;
    const change = membersRequestIn(body);
    if (change === 'wrong') {
      session.sendError(requestId, 'MALFORMED', 0, 'a MEMBERS has no body, or one that adds, removes, promotes, demotes or moves a node');
      return;
    }
    this.#answer(
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
    this.#answer(session, requestId, work, (answer) => session.send(encodeConsumersAnswer({ requestId, ...answer })), audited);
  }

  /** Sends what comes of `work`, for which the session waits. */
  #answer<Outcome>(
    session: Session,
    requestId: number,
    work: Promise<Outcome>,
    send: (outcome: Outcome) => void,
    audited?: { readonly what: Audited; readonly detail: string },
  ): void {
    session.asked += 1;
    if (audited !== undefined) this.#note(session, work, audited);
    void work
      .then(
        (outcome) => (session.isClosed ? undefined : send(outcome)),
        (thrown: unknown) => this.#refuse(session, requestId, thrown),
      )
      .then(() => {
        session.asked -= 1;
        session.rested();
      });
  }

  /** Tells who asked for it, and what came of it. */
  #note(session: Session, work: Promise<unknown>, { what, detail }: { readonly what: Audited; readonly detail: string }): void {
    if (this.#audit === undefined) return;
    const { identity } = session;
    // Where it is can be asked only while it is connected.
    const actor = { identity, from: session.from };
    void work.then(
      () => this.#audit?.note(what, actor, detail),
      (thrown: unknown) => {
        // Whoever waits for a node that is to come, or for another change, asks again and again.
        if (!isLogError(thrown, 'NOT_READY', 'CHANGE_IN_PROGRESS') || what !== 'change_nodes')
          this.#audit?.note(what, actor, detail, thrown ?? 'unknown');
      },
    );
  }

  #refuse(session: Session, requestId: number, thrown: unknown): void {
    if (!(thrown instanceof LogError)) {
      this.#broke(thrown);
      return;
    }
    const { code, message, details, outcome } = thrown;
    if (!session.isClosed) session.sendError(requestId, code, details.end ?? 0, message, outcome === 'unknown');
  }

  #read(session: Session, request: Request): void {
    const { requestId, flags, offset, a, b } = request;
    const isSubscription = request.opcode === SUBSCRIBE;
    const isKept = isSubscription && (flags & SUBSCRIBE_KEPT) !== 0;
    const start = this.#memory.word(isKept ? WORD.BASE : WORD.START);
    const startDataEnd = isKept ? start : this.#memory.word(WORD.START_DATA_END);
    const tail = this.#memory.tail;
    if (session.readings.open.has(requestId)) {
      session.fail(requestId, 'MALFORMED', `request id ${requestId} is already that of an open read or subscription`);
    } else if (offset < start && offset < startDataEnd) {
      session.sendError(requestId, 'OFFSET_TRIMMED', start, `offset ${offset} was trimmed; the log starts at ${start}`);
    } else if (offset > tail) {
      session.sendError(
        requestId,
        'OFFSET_BEYOND_END',
        this.#memory.commit,
        `offset ${offset} is beyond the end of the log, which is ${this.#memory.commit}`,
      );
    } else {
      const waitMs = isSubscription ? 0 : Math.min(b, MAX_WAIT_MS);
      if (isSubscription && isOverQuota(session, requestId, 'subscriptions', COUNTS.subscriptions)) return;
      if (waitMs > 0 && isOverQuota(session, requestId, 'waits', COUNTS.waits)) return;
      const isTimed = (flags & READ_TIMED) !== 0 && !isKept;
      const reading: Reading = {
        caller: session,
        requestId,
        isSubscription,
        isKept,
        next: offset,
        isBoundary: offset === start,
        creditBytes: isSubscription ? Math.min(a, MAX_CREDIT_BYTES) : a === 0 ? MAX_READ_BYTES : Math.min(a, MAX_READ_BYTES),
        deadline: undefined,
        neededBytes: 0,
        isTimed,
        isTimeDue: isTimed,
        timeMs: undefined,
        state: 'ready',
      };
      const refusal = this.#readings.start(reading, waitMs);
      if (refusal !== '') session.sendError(requestId, 'TOO_MANY_REQUESTS', 0, refusal);
    }
  }

  #credit(session: Session, request: Request): void {
    const reading = session.readings.open.get(request.requestId);
    // A subscription may have ended while its credit was on the way.
    if (reading?.isSubscription) this.#readings.grant(reading, request.a);
  }

  #cancel(session: Session, requestId: number): void {
    const reading = session.readings.open.get(requestId);
    if (reading !== undefined) this.#readings.drop(reading);
    session.send(encodeCancelled(requestId));
  }
}
