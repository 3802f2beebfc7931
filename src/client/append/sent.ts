// Messages that were sent and are not answered yet.

import { assert } from '../../core/assert.ts';
import { FAIR_REQUESTS } from '../../core/servingLimits.ts';
import { APPEND, APPEND_UPLOADED, encodeRequest, MESSAGE_HEADER_BYTES } from '../../protocol/client.ts';
import { APPEND_SESSION, APPEND_SESSION_BYTES, encodeAppendSession } from '../../protocol/sessions.ts';
import { APPEND_UPLOAD_BYTES, encodeAppendUpload } from '../../protocol/uploads.ts';
import type { Connection } from '../nodes/connection.ts';
import type { Workspace } from '../wasm.ts';
import type { Message } from './message.ts';

/** Half of what the server takes however busy it is, so that there is room for other requests; beyond it appends share messages. */
const MAX_SENT_MESSAGES = FAIR_REQUESTS / 2;

export class Sent {
  /** By request id, in the order in which they were sent. */
  readonly #messages = new Map<number, Message>();
  /** Of their entries. */
  #bytes = 0;

  get size(): number {
    return this.#messages.size;
  }

  get(requestId: number): Message | undefined {
    return this.#messages.get(requestId);
  }

  all(): Message[] {
    return [...this.#messages.values()];
  }

  /** Whether a message with `entryBytes` may follow; one is always let through. */
  hasRoomFor(entryBytes: number, windowBytes: number): boolean {
    return this.#bytes === 0 || (this.#bytes + entryBytes <= windowBytes && this.#messages.size < MAX_SENT_MESSAGES);
  }

  /** Sends a message, for the first time or again, under a request id of its own. */
  send(connection: Connection, message: Message, workspace: Workspace): void {
    const { entriesAt, end, upload, expectedEnd, expectedTerm } = message;
    const isUploaded = upload?.isNamedTo(connection.hello) === true;
    const isOfSession = message.sequence !== 0;
    const beforeSession = entriesAt - (isOfSession ? APPEND_SESSION_BYTES : 0);
    const beforeUpload = beforeSession - (isUploaded ? APPEND_UPLOAD_BYTES : 0);
    const at = beforeUpload - MESSAGE_HEADER_BYTES;
    const flags = message.flags | (isUploaded ? APPEND_UPLOADED : 0) | (isOfSession ? APPEND_SESSION : 0);
    const count = workspace.frame(entriesAt, end - entriesAt);
    assert(message.resolveBatch !== undefined || count === message.resolves.length, 'a message has one promise per entry');
    message.requestId = connection.takeRequestId();
    const header = new DataView(workspace.bytes.buffer, at, MESSAGE_HEADER_BYTES);
    encodeRequest(header, APPEND, flags, message.requestId, expectedEnd, count, expectedTerm);
    if (isUploaded) encodeAppendUpload(workspace.bytes, beforeUpload, upload);
    if (isOfSession) encodeAppendSession(workspace.bytes, beforeSession, message);
    this.#messages.set(message.requestId, message);
    this.#bytes += message.entryBytes;
    connection.send(workspace.bytes.subarray(at, end));
  }

  /** It is no longer expected to be answered. */
  remove(message: Message): void {
    const wasSent = this.#messages.delete(message.requestId);
    this.#bytes -= message.entryBytes;
    assert(wasSent && this.#bytes >= 0, 'a message is taken out of those that were sent once');
    assert(this.#messages.size > 0 || this.#bytes === 0, 'bytes that were sent belong to messages');
  }
}
