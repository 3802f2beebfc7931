// What a stream of the log reads, checked already, and how it fails.

import { WALK_BAD_CHECK } from '../../../assembly/layout.ts';
import { LogError } from '../../core/errors.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import type { Connection } from '../nodes/connection.ts';
import type { Hosts } from './catchUp.ts';

/** Finds a place to begin at in the committed log [start, end). Rejects with a LogError, after all nodes that will do were asked; with any by the signal. */
export type FindBeginning = (bounds: { readonly start: number; readonly end: number }, signal: AbortSignal) => Promise<number>;

/** What a stream reads; everything is checked already. */
export interface StreamPlan {
  readonly what: 'This read' | 'This subscription';
  readonly from: number | 'end' | FindBeginning | undefined;
  /** Ends at the commit offset of its beginning. */
  readonly isBounded: boolean;
  /** Most data entries. */
  readonly limit: number;
  readonly creditBytes: number;
  /** What was trimmed before it could be read is left out. */
  readonly skipsTrimmed: boolean;
  /** The node must have this much committed, besides all that the client has seen. */
  readonly atLeast: number;
  /** Hosts of sealed segments, for what is far behind. */
  readonly catchUp: Hosts;
  readonly signal: AbortSignal | undefined;
  /** For a copy of the log: all that nodes keep is read, and each node is looked at first. Rejects with a LogError for one that will not do. */
  readonly admit?: (connection: Connection) => Promise<void>;
}

export function protocolError(sentence: string): LogError {
  return new LogError('PROTOCOL', sentence, {}, 'failed');
}

export function damagedError(offset: number, status: number, url: string | undefined): LogError {
  const what = status === WALK_BAD_CHECK ? 'does not match its check' : 'is not a whole entry of the log';
  const where = url === undefined ? '' : ` from ${withoutSecrets(url)}`;
  const sentence = `What came${where} at offset ${offset} ${what}. Read it from another node, and run "loglog verify" on that one.`;
  return new LogError('DAMAGED', sentence, { offset });
}
