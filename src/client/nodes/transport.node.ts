// The transport on Node: a WebSocket of its own (webSocket.node.ts), or the package `ws`.

import WebSocket, { type RawData } from 'ws';
import { SUBPROTOCOL } from '../../protocol/client.ts';
import { NODE_LISTENERS, NODE_TRACING } from './diagnostics.node.ts';
import { nodeTls, secureFetches } from './fetch.node.ts';
import type { TlsSource } from './tls.ts';
import { tlsFault } from './tlsFault.ts';
import type { OpenTransport, Platform, Transport, TransportEvents } from './transport.ts';
import { NodeWebSocket } from './webSocket.node.ts';

/** The package `ws` has the sockets where Node's own are another program's: on Bun and Deno; and where the environment says so. */
const IS_WS_USED = process.versions.bun !== undefined || process.versions.deno !== undefined || process.env.LOGLOG_TRANSPORT === 'ws';

const SENT_TEXT = 'it sent text, which the protocol does not have';

function closedWith(code: number, text: string): string {
  return `it was closed with code ${code}${text === '' ? '' : ` (${text})`}`;
}

/** An answer holds at most one entry of 16 MiB beyond its usual bound; anything above this is not the protocol. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** A mask of zeros makes `ws` send our memory as it is. Masks protect proxies from scripts in browsers, and this is neither. */
function generateMask(mask: Buffer): void {
  mask.fill(0);
}

function reasonOf(error: Error & { code?: string; errors?: readonly Error[] }): string {
  // Node tries every address of a name; the error of the whole has no text of its own.
  if (error.message === '' && error.errors !== undefined) return error.errors.map((one) => one.message).join(', ');
  return error.message === '' ? (error.code ?? 'unknown error') : error.message;
}

/** HTTP statuses below 500 that may be over soon: a proxy or a node that has too much to do. */
const PASSING_STATUSES = [408, 421, 425, 429];
/** Faults of certificates and of the handshake, and what is no HTTP at all. A name that is not known yet, or a refused connection, heals. */
const FINAL_CODES = /^(EPROTO|HPE_|ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(VERIFY|GET_ISSUER))/;
const FINAL_MESSAGES = /^(Server sent (no|an invalid) subprotocol|Invalid (Sec-WebSocket-Accept|Upgrade) header)/;

type Fault = 'final' | 'certificate' | 'unauthenticated';

interface Failure {
  readonly reason: string;
  readonly fault: Fault | undefined;
}

/** Why a connection failed, and whether it always will. */
function failureOf(error: Error & { code?: string; errors?: readonly Error[] }): Failure {
  const untrusted = tlsFault(error);
  if (untrusted !== undefined) return { reason: untrusted, fault: 'certificate' };
  const reason = reasonOf(error);
  const status = Number(/^Unexpected server response: (\d+)/.exec(reason)?.[1] ?? 0);
  if (status !== 0) return failureOfStatus(status);
  return { reason, fault: FINAL_CODES.test(error.code ?? '') || FINAL_MESSAGES.test(reason) ? 'final' : undefined };
}

/** An answer over HTTP in place of a WebSocket. */
function failureOfStatus(status: number): Failure {
  if (status === 401)
    return { reason: 'it answers HTTP 401: it does not take what this client shows, if anything', fault: 'unauthenticated' };
  const isFinal = status < 500 && !PASSING_STATUSES.includes(status);
  const hint = isFinal ? ', so it is no LogLog node, or the path is wrong' : '';
  return { reason: `it answers HTTP ${status} in place of a WebSocket${hint}`, fault: isFinal ? 'final' : undefined };
}

function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (Array.isArray(data)) return bytesOf(Buffer.concat(data));
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Opens `ws` connections, unmasked and uncompressed, with certificates of the program's own if there are any. */
const opening = (tls?: TlsSource): OpenTransport => {
  return (url, events, token) => openSocket(url, events, token, tls === undefined ? {} : nodeTls(tls()));
};

function openSocket(url: string, events: TransportEvents, token: string | undefined, secured: ReturnType<typeof nodeTls>): Transport {
  return IS_WS_USED ? openWs(url, events, token, secured) : openOwn(url, events, token, secured);
}

/** By {@link NodeWebSocket}. */
export function openOwn(url: string, events: TransportEvents, token: string | undefined, secured: ReturnType<typeof nodeTls>): Transport {
  let closed = false;
  let failure: Failure | undefined;
  const finish = (reason: string, code = 0, fault?: Fault): void => {
    if (closed) return;
    closed = true;
    events.closed(reason, code, fault);
  };
  const socket = new NodeWebSocket(
    { url, maxMessageBytes: MAX_MESSAGE_BYTES, token, secured },
    {
      message: (bytes, isBinary) => {
        if (closed) return;
        if (isBinary) {
          events.message(bytes);
        } else {
          finish(SENT_TEXT);
          socket.terminate();
        }
      },
      refused: (refusal) => {
        failure = refusal.kind === 'status' ? failureOfStatus(refusal.status) : { reason: refusal.sentence, fault: 'final' };
      },
      failed: (error) => {
        failure ??= failureOf(error);
      },
      closed: (code, text) => {
        if (failure !== undefined) finish(failure.reason, code, failure.fault);
        else finish(closedWith(code, text), code);
      },
    },
  );
  return {
    send: (bytes) => socket.send(bytes),
    bufferedBytes: () => socket.bufferedBytes,
    receivedBytes: () => socket.receivedBytes,
    close: () => socket.close(),
    terminate() {
      finish('this client ended it');
      socket.terminate();
    },
  };
}

/** By the package `ws`. */
export function openWs(url: string, events: TransportEvents, token: string | undefined, secured: ReturnType<typeof nodeTls>): Transport {
  const socket = new WebSocket(url, SUBPROTOCOL, {
    generateMask,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    skipUTF8Validation: true,
    ...secured,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  });
  let closed = false;
  let failure: Failure | undefined;
  const finish = (reason: string, code = 0, fault?: Fault): void => {
    if (closed) return;
    closed = true;
    events.closed(reason, code, fault);
  };
  let stream: { readonly bytesRead: number } | undefined;
  socket.on('upgrade', (response) => {
    stream = response.socket;
  });
  socket.on('message', (data, isBinary) => {
    if (closed) return;
    if (isBinary) {
      events.message(bytesOf(data));
    } else {
      finish(SENT_TEXT);
      socket.terminate();
    }
  });
  socket.on('error', (error) => {
    failure = failureOf(error);
  });
  socket.on('close', (code, reason) => {
    const text = reason.toString();
    if (failure !== undefined) finish(failure.reason, code, failure.fault);
    else finish(closedWith(code, text), code);
  });
  return {
    send(bytes) {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    },
    bufferedBytes: () => socket.bufferedAmount,
    receivedBytes: () => stream?.bytesRead ?? 0,
    close: () => socket.close(),
    terminate() {
      finish('this client ended it');
      socket.terminate();
    },
  };
}

export const NODE = {
  open: opening(),
  secure: (tls) => ({ open: opening(tls), ...secureFetches(tls) }),
  listeners: NODE_LISTENERS,
  tracing: NODE_TRACING,
} satisfies Platform;
