// Whatever a node sends a client, decoded: one union of all answers.

import { getOffset, viewOf } from '../core/bytes.ts';
import { type ErrorCode, errorCodeOf } from '../core/errors.ts';
import {
  APPENDED,
  APPENDED_HEADER_BYTES,
  CANCELLED,
  DATA,
  DATA_SKIPPED,
  DATA_TIME_BYTES,
  DATA_TIMED,
  ENDED,
  ERROR,
  ERROR_FATAL,
  ERROR_OUTCOME_UNKNOWN,
  FOUND,
  KEPT,
  LEVELS,
  MESSAGE_HEADER_BYTES,
  RECEIPT_BYTES,
  TRANSFERRED,
  UPLOADED,
} from './client.ts';
import { type ConsumersAnswer, decodeConsumersAnswer, POSITIONS } from './consumers.ts';
import { decodeHello, type Greeting, HELLO } from './greeting.ts';
import { decodeLevels, type LevelsAnswer } from './levels.ts';
import { decodeMembers, type MembersAnswer, NODES } from './members.ts';
import { decodeKept, type KeptAnswer } from './retention.ts';
import { decodeSessionOpened, SESSION_OPENED, type SessionOpened } from './sessions.ts';
import { decodeTokens, LISTED, type TokensAnswer } from './tokens.ts';

const decoder = new TextDecoder();

/** A decoded answer. `bytes` and receipts are views of the message: copy what must outlive it. */
export type Answer =
  | Greeting
  | { kind: 'appended'; count: number; view: DataView }
  | {
      kind: 'data';
      requestId: number;
      hasSkipped: boolean;
      from: number;
      commit: number;
      /** The log's time at `from`, Unix ms; 0: the node does not know it; undefined: it does not say it. */
      timeMs: number | undefined;
      bytes: Uint8Array;
    }
  | { kind: 'ended'; requestId: number; start: number; commit: number; term: number }
  | { kind: 'found'; requestId: number; offset: number; commit: number }
  | ({ kind: 'kept' } & KeptAnswer)
  | ({ kind: 'levels' } & LevelsAnswer)
  | { kind: 'transferred'; requestId: number; leader: number; term: number }
  | ({ kind: 'tokens' } & TokensAnswer)
  | ({ kind: 'members' } & MembersAnswer)
  | ({ kind: 'consumers' } & ConsumersAnswer)
  | ({ kind: 'sessionOpened'; requestId: number } & SessionOpened)
  | { kind: 'cancelled'; requestId: number }
  | { kind: 'uploaded'; requestId: number; total: number }
  | {
      kind: 'error';
      requestId: number;
      code: ErrorCode;
      fatal: boolean;
      outcomeUnknown: boolean;
      offset: number;
      message: string;
    };

function decodeData(bytes: Uint8Array, view: DataView): Answer {
  const flags = view.getUint8(1);
  const isTimed = (flags & DATA_TIMED) !== 0;
  const headerBytes = MESSAGE_HEADER_BYTES + (isTimed ? DATA_TIME_BYTES : 0);
  if (bytes.length < headerBytes) return { kind: 'malformed', reason: 'a DATA without the time that it announces' };
  return {
    kind: 'data',
    requestId: view.getUint32(4, true),
    hasSkipped: (flags & DATA_SKIPPED) !== 0,
    from: getOffset(view, 8),
    commit: getOffset(view, 16),
    timeMs: isTimed ? getOffset(view, MESSAGE_HEADER_BYTES) : undefined,
    bytes: bytes.subarray(headerBytes),
  };
}

/** Decodes any answer; what is not one comes back as `malformed`, never as an exception. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  if (bytes.length < APPENDED_HEADER_BYTES) return { kind: 'malformed', reason: `a message of ${bytes.length} bytes` };
  const view = viewOf(bytes);
  const opcode = view.getUint8(0);
  if (opcode === APPENDED) {
    const count = view.getUint16(2, true);
    if (bytes.length !== APPENDED_HEADER_BYTES + count * RECEIPT_BYTES) {
      return { kind: 'malformed', reason: 'an APPENDED of the wrong length' };
    }
    return { kind: 'appended', count, view };
  }
  if (bytes.length < MESSAGE_HEADER_BYTES) return { kind: 'malformed', reason: 'a message shorter than its header' };
  const requestId = view.getUint32(4, true);
  switch (opcode) {
    case HELLO:
      return decodeHello(bytes);
    case DATA:
      return decodeData(bytes, view);
    case ENDED:
      if (bytes.length !== MESSAGE_HEADER_BYTES + 8) return { kind: 'malformed', reason: 'an ENDED of the wrong length' };
      return { kind: 'ended', requestId, start: getOffset(view, 8), commit: getOffset(view, 16), term: view.getUint32(24, true) };
    case FOUND:
      return { kind: 'found', requestId, offset: getOffset(view, 8), commit: getOffset(view, 16) };
    case KEPT: {
      const kept = decodeKept(view);
      return kept === undefined ? { kind: 'malformed', reason: 'a KEPT of the wrong length' } : { kind: 'kept', ...kept };
    }
    case LEVELS: {
      const levels = decodeLevels(view);
      return levels === undefined ? { kind: 'malformed', reason: 'a LEVELS of the wrong length' } : { kind: 'levels', ...levels };
    }
    case TRANSFERRED:
      return { kind: 'transferred', requestId, leader: view.getUint32(16, true), term: view.getUint32(20, true) };
    case LISTED: {
      const tokens = decodeTokens(bytes);
      return tokens === undefined ? { kind: 'malformed', reason: 'a LISTED with wrong records' } : { kind: 'tokens', ...tokens };
    }
    case NODES: {
      const members = decodeMembers(bytes);
      return members === undefined ? { kind: 'malformed', reason: 'a NODES with wrong nodes' } : { kind: 'members', ...members };
    }
    case POSITIONS: {
      const consumers = decodeConsumersAnswer(bytes);
      return consumers === undefined
        ? { kind: 'malformed', reason: 'a POSITIONS with wrong records' }
        : { kind: 'consumers', ...consumers };
    }
    case SESSION_OPENED: {
      const opened = decodeSessionOpened(view);
      return opened === undefined
        ? { kind: 'malformed', reason: 'a SESSION_OPENED of the wrong length' }
        : { kind: 'sessionOpened', ...opened };
    }
    case CANCELLED:
      return { kind: 'cancelled', requestId };
    case UPLOADED:
      return { kind: 'uploaded', requestId, total: getOffset(view, 8) };
    case ERROR: {
      const flags = view.getUint8(1);
      return {
        kind: 'error',
        requestId,
        code: errorCodeOf(view.getUint16(2, true)),
        fatal: (flags & ERROR_FATAL) !== 0,
        outcomeUnknown: (flags & ERROR_OUTCOME_UNKNOWN) !== 0,
        offset: getOffset(view, 8),
        message: decoder.decode(bytes.subarray(MESSAGE_HEADER_BYTES)),
      };
    }
    default:
      return { kind: 'malformed', reason: `an unknown opcode ${opcode}` };
  }
}
