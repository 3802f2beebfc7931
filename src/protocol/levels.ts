// The log's level, and which levels each node knows, on the wire: LEVELS, the answer to UPGRADE.

import { viewOf } from '../core/bytes.ts';
import { LEVELS, MESSAGE_HEADER_BYTES } from './client.ts';

/** A node, and the levels of the log that its build knows. */
export interface KnownLevels {
  readonly id: number;
  /** It has a connection with the leader, and has said so. */
  readonly isHeard: boolean;
  readonly lowest: number;
  readonly highest: number;
}

/** The log's level, and who knows which. */
export interface LevelsAnswer {
  readonly requestId: number;
  readonly level: number;
  /** The newest that the leader knows. */
  readonly newest: number;
  readonly nodes: readonly KnownLevels[];
}

const LEVELS_NODE_BYTES = 8;

/** A LEVELS message. */
export function encodeLevels({ requestId, level, newest, nodes }: LevelsAnswer): Uint8Array {
  const message = new Uint8Array(MESSAGE_HEADER_BYTES + nodes.length * LEVELS_NODE_BYTES);
  const view = viewOf(message);
  view.setUint8(0, LEVELS);
  view.setUint32(4, requestId, true);
  view.setUint32(8, level, true);
  view.setUint32(12, newest, true);
  view.setUint32(16, nodes.length, true);
  for (const [i, { id, isHeard, lowest, highest }] of nodes.entries()) {
    const at = MESSAGE_HEADER_BYTES + i * LEVELS_NODE_BYTES;
    view.setUint8(at, id);
    view.setUint8(at + 1, isHeard ? 1 : 0);
    view.setUint16(at + 4, lowest, true);
    view.setUint16(at + 6, highest, true);
  }
  return message;
}

/** Undefined: its length does not fit its count. */
export function decodeLevels(view: DataView): LevelsAnswer | undefined {
  const count = view.getUint32(16, true);
  if (view.byteLength !== MESSAGE_HEADER_BYTES + count * LEVELS_NODE_BYTES) return undefined;
  const nodes = Array.from({ length: count }, (_, i): KnownLevels => {
    const at = MESSAGE_HEADER_BYTES + i * LEVELS_NODE_BYTES;
    const isHeard = view.getUint8(at + 1) !== 0;
    return { id: view.getUint8(at), isHeard, lowest: view.getUint16(at + 4, true), highest: view.getUint16(at + 6, true) };
  });
  return { requestId: view.getUint32(4, true), level: view.getUint32(8, true), newest: view.getUint32(12, true), nodes };
}
