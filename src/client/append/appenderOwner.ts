// What stands between the appender and its client.

import type { LogError } from '../../core/errors.ts';
import type { Receipt as WireReceipt } from '../../protocol/client.ts';
import type { Connection } from '../nodes/connection.ts';
import type { Message } from './message.ts';

/** What the appender needs of the client around it. */
export interface AppenderOwner {
  /** There is something to send, and no leader. */
  wake(): void;
  /** A node refuses appends that another one, or the same one later, may take. */
  refused(connection: Connection, error: LogError): void;
  /**
   * What became of an earlier try of a conditional append, whose new try was refused: its receipt, the error that says all there is to
   * know, or undefined when nothing is decided and it can be sent again. Never rejects.
   */
  recheck(message: Message, refusal: LogError): Promise<WireReceipt | LogError | undefined>;
}
