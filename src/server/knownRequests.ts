// Which requests this version knows, with which flags, and which of them have a body. What it does not know is refused before anything acts on it.

import { conditionOf } from '../node/chain.ts';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  APPEND_RECEIVED,
  APPEND_UPLOADED,
  CANCEL,
  CREDIT,
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
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
import { CONSUMERS } from '../protocol/consumers.ts';
import { CLIENT_UPLOADS, PROTOCOL_VERSION } from '../protocol/greeting.ts';
import { MEMBERS, MEMBERS_DRY_RUN } from '../protocol/members.ts';
import { APPEND_SESSION, OPEN_SESSION } from '../protocol/sessions.ts';
import { TOKENS } from '../protocol/tokens.ts';
import type { Session } from './session.ts';

/** Flags by opcode; others are refused, so that they can get a meaning one day. */
const KNOWN_FLAGS: Readonly<Record<number, number>> = {
  [APPEND]: APPEND_RECEIVED | APPEND_CONDITIONAL | APPEND_CHAINED | APPEND_SESSION,
  [OPEN_SESSION]: 0,
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

/** Opcodes of requests that may have a body. */
const WITH_BODY: readonly number[] = [APPEND, INTRODUCE, UPLOAD, TOKENS, MEMBERS, CONSUMERS, RETENTION, OPEN_SESSION];

function refuseUnknown(session: Session, requestId: number, code: 'UNKNOWN_OPCODE' | 'UNKNOWN_FLAGS', sentence: string): void {
  if (session.introduction !== undefined) session.sendError(requestId, code, 0, sentence);
  else session.fail(requestId, code === 'UNKNOWN_FLAGS' ? 'MALFORMED' : code, sentence);
}

/**
 * Whether the opcode, its flags and that there is a body are what this version knows; otherwise it has been refused. A client that introduced itself is
 * refused without an end of the connection: it may try what only later versions know.
 */
export function isKnownRequest(session: Session, request: Request, messageBytes: number, takesUploads: boolean): boolean {
  const { opcode, flags, requestId } = request;
  const isFirst = !session.hasAsked;
  session.hasAsked = true;
  const hasUploads = takesUploads && ((session.introduction?.features ?? 0) & CLIENT_UPLOADS) !== 0;
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
