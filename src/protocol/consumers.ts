// Requests about named consumers, and their answer. Changes and records are those of the log (format/consumers.ts).
//
//   CONSUMERS, the request:  24 nothing: which consumers are there │ or 8 bytes id of the log's generation, then one change
//   POSITIONS, the answer:    1 flags: 1 CHANGED, 2 OF_CHANGE │ 8 u64 start; OF_CHANGE: 8 bytes id of the generation │ 16 u64 data end │ 24 records: all, or with
//                               OF_CHANGE the one that the change was about, if it is there

import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import {
  type ConsumerChange,
  type ConsumerRecord,
  consumersPayload,
  encodeConsumers,
  readConsumerChanges,
  readConsumers,
} from '../format/consumers.ts';

/** Opcode of the request. */
export const CONSUMERS = 0x0f;
/** Opcode of the answer. */
export const POSITIONS = 0x8c;
/** The answer: what was asked for was not done before. */
export const CONSUMERS_CHANGED = 1;
/** The answer is one to a change, not the list. */
export const CONSUMERS_OF_CHANGE = 2;

const HEADER_BYTES = 24;
const GENERATION_BYTES = 8;

/** What a client asks for: a change of a consumer of a generation of the log. */
export interface ConsumerQuestion {
  readonly change: ConsumerChange;
  /** 16 hexadecimal digits: the log's, as HELLO says it; zeros, but for a commit: whichever it is. */
  readonly generation: string;
}

/** What a request about consumers is answered with. */
export interface ConsumersAnswer {
  readonly requestId: number;
  readonly hasChanged: boolean;
  /** Of a change: the log's generation, in which the fence of the record holds, 16 hexadecimal digits; undefined: it is the list. */
  readonly generation: string | undefined;
  /** Of the list: where the log starts, and where its last committed data entry ends, or later: log offsets. */
  readonly start: number;
  readonly dataEnd: number;
  readonly consumers: readonly ConsumerRecord[];
}

/** A request: for a change, or, without one, for the list. */
export function encodeConsumersRequest(requestId: number, question: ConsumerQuestion | undefined): Uint8Array {
  const payload = question === undefined ? new Uint8Array(0) : consumersPayload([question.change]);
  const message = new Uint8Array(HEADER_BYTES + (question === undefined ? 0 : GENERATION_BYTES + payload.length));
  const view = viewOf(message);
  view.setUint8(0, CONSUMERS);
  view.setUint32(4, requestId, true);
  if (question === undefined) return message;
  message.set(fromHex(question.generation), HEADER_BYTES);
  message.set(payload, HEADER_BYTES + GENERATION_BYTES);
  return message;
}

/** What a request with `body` asks for; undefined: the list; `wrong`: nothing that a client may ask for. */
export function consumersRequestIn(body: Uint8Array): ConsumerQuestion | undefined | 'wrong' {
  if (body.length === 0) return undefined;
  if (body.length <= GENERATION_BYTES) return 'wrong';
  const changes = readConsumerChanges(viewOf(body), GENERATION_BYTES, body.length - GENERATION_BYTES);
  const [change] = changes ?? [];
  if (change === undefined || changes?.length !== 1) return 'wrong';
  return { change, generation: toHex(body.subarray(0, GENERATION_BYTES)) };
}

/** The answer. */
export function encodeConsumersAnswer({ requestId, hasChanged, generation, start, dataEnd, consumers }: ConsumersAnswer): Uint8Array {
  const records = encodeConsumers(consumers);
  const message = new Uint8Array(HEADER_BYTES + records.length);
  const view = viewOf(message);
  view.setUint8(0, POSITIONS);
  view.setUint8(1, (hasChanged ? CONSUMERS_CHANGED : 0) | (generation === undefined ? 0 : CONSUMERS_OF_CHANGE));
  view.setUint32(4, requestId, true);
  if (generation === undefined) setOffset(view, 8, start);
  else message.set(fromHex(generation), 8);
  setOffset(view, 16, dataEnd);
  message.set(records, HEADER_BYTES);
  return message;
}

/** Reads an answer of at least a header; undefined when it is none. */
export function decodeConsumersAnswer(message: Uint8Array): ConsumersAnswer | undefined {
  const view = viewOf(message);
  const consumers = readConsumers(view, HEADER_BYTES, message.length - HEADER_BYTES);
  if (consumers === undefined) return undefined;
  const flags = view.getUint8(1);
  const isOfChange = (flags & CONSUMERS_OF_CHANGE) !== 0;
  return {
    requestId: view.getUint32(4, true),
    hasChanged: (flags & CONSUMERS_CHANGED) !== 0,
    generation: isOfChange ? toHex(message.subarray(8, 16)) : undefined,
    start: isOfChange ? 0 : getOffset(view, 8),
    dataEnd: getOffset(view, 16),
    consumers,
  };
}
