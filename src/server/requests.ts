// What each request of the client protocol does: known or refused (knownRequests.ts), allowed or not (rights.ts), and then to whom it belongs. Every field is
// checked before anything acts on it (docs/PROTOCOL.md).

import { viewOf } from '../core/bytes.ts';
import { MAX_CREDIT_BYTES, MAX_READ_BYTES, MAX_WAIT_MS } from '../core/servingLimits.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Reading } from '../node/caller.ts';
import { conditionOf } from '../node/chain.ts';
import type { Ends } from '../node/ends.ts';
import type { Readings } from '../node/reading.ts';
import type { Times } from '../node/times.ts';
import {
  APPEND,
  CANCEL,
  CREDIT,
  decodeRequest,
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
  encodeCancelled,
  encodeFound,
  FIND,
  INTRODUCE,
  MESSAGE_HEADER_BYTES,
  READ,
  READ_TIMED,
  type Request,
  SUBSCRIBE,
  SUBSCRIBE_KEPT,
  UPLOAD,
} from '../protocol/client.ts';
import { decodeIntroduce, PROTOCOL_VERSION } from '../protocol/greeting.ts';
import { COUNTS, isOverQuota } from './accounts.ts';
import { Answers } from './answers.ts';
import { AppendRequests, type AppendTargets, type RequestLimits } from './appendRequests.ts';
import type { Audit } from './audit.ts';
import { endingText } from './holder.ts';
import { isKnownRequest } from './knownRequests.ts';
import { LeaderRequests, type LeaderTargets } from './leaderRequests.ts';
import { forbidden, scopeNeeded } from './rights.ts';
import type { Session } from './session.ts';

/** Room above the largest batch, so that a slightly too large one gets an answer that says so before uWS closes the connection. */
const MESSAGE_SLACK_BYTES = 64 * 1024;

/** Largest message that a client may send. */
export function maxMessageBytes({ maxBatchBytes }: Pick<RequestLimits, 'maxBatchBytes'>): number {
  return MESSAGE_HEADER_BYTES + maxBatchBytes + MESSAGE_SLACK_BYTES;
}

/** Whose requests are served: an engine's. */
export interface RequestTargets extends AppendTargets, LeaderTargets {
  readonly readings: Readings;
  readonly ends: Pick<Ends, 'start'>;
  readonly times: Pick<Times, 'find'>;
  /** Gets what was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** What follows a message's header. */
function bodyOf({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset + MESSAGE_HEADER_BYTES, byteLength - MESSAGE_HEADER_BYTES);
}

/** Called when a client has introduced itself: it is to be greeted anew. */
export type OnIntroduced = (session: Session) => void;

export class Requests {
  readonly #memory: TailMemory;
  readonly #readings: Readings;
  readonly #ends: RequestTargets['ends'];
  readonly #times: RequestTargets['times'];
  readonly #uploads: RequestTargets['uploads'];
  readonly #appending: AppendRequests;
  readonly #leading: LeaderRequests;
  readonly #answers: Answers;
  readonly #introduced: OnIntroduced;
  /** The request being handled; reused, because a request never outlives its message. */
  readonly #request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };

  constructor(targets: RequestTargets, limits: RequestLimits, introduced: OnIntroduced, audit?: Audit) {
    const { memory, readings, ends, times, uploads } = targets;
    this.#memory = memory;
    this.#readings = readings;
    this.#ends = ends;
    this.#times = times;
    this.#uploads = uploads;
    this.#answers = new Answers((thrown) => targets.broke(thrown), audit);
    this.#appending = new AppendRequests(targets, limits);
    this.#leading = new LeaderRequests(targets, this.#answers);
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
    if (!isKnownRequest(session, request, message.byteLength, this.#uploads.isOn)) return;
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
        this.#appending.append(session, request, bodyOf(message));
        break;
      case UPLOAD:
        this.#appending.upload(session, request, bodyOf(message));
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
      case FIND:
        this.#find(session, request);
        break;
      default:
        this.#leading.handle(session, request, bodyOf(message));
        break;
    }
  }

  /** What was asked for needs a scope that the session does not have, or has no more. */
  #forbid(session: Session, request: Request, needed: number): void {
    const { requestId, opcode } = request;
    // It has its number in its chain like any other append that is refused.
    if (opcode === APPEND) conditionOf(session, request);
    const { ending, rights, identity } = session;
    if (ending !== undefined) session.sendError(requestId, ending, 0, endingText(ending, identity?.kind ?? 'token'));
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

  #end(session: Session, { requestId, flags, offset, b }: Request): void {
    const isLinearizable = (flags & END_LINEARIZABLE) !== 0;
    const atLeast = (flags & END_AT_LEAST) === 0 ? 0 : offset;
    if (atLeast > 0 && b > 0 && isOverQuota(session, requestId, 'waits', COUNTS.waits)) return;
    this.#ends.start({ caller: session, requestId, isLinearizable, atLeast, waitMs: Math.min(b, MAX_WAIT_MS) });
  }

  #find(session: Session, { requestId, offset: timeMs }: Request): void {
    this.#times
      .find(session, timeMs)
      .then(
        (offset) => {
          if (!session.isClosed) session.send(encodeFound(requestId, offset, this.#memory.commit));
        },
        (thrown: unknown) => this.#answers.refuse(session, requestId, thrown),
      )
      .then(() => session.rested());
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
