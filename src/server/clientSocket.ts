// What a session needs of the connection to its client, so that uWebSockets.js, `ws`, and a pipe inside the process can stand behind the same
// code.

/** One connection, open. After it was closed by either side nothing here may be called. */
export interface ClientSocket {
  /** Sends one binary message; the bytes are taken before this returns. */
  send(message: Uint8Array): void;
  /** Bytes that were sent and that the client has not taken yet. */
  bufferedBytes(): number;
  /** Asks for a sign of life; its answer counts as one. */
  ping(): void;
  /** Closes with a WebSocket close code and a reason of at most 123 bytes (RFC 6455, 5.5.1); what was sent before still leaves. */
  end(closeCode: number, reason: string): void;
  /** Ends the connection at once; what waits is thrown away. */
  close(): void;
  /** Nothing more is to be sent now: what the client asked for waits, or has ended. For a door that keeps its program running meanwhile. */
  rested?(): void;
  /** Where the client is, for people. */
  remoteAddress(): string;
}
