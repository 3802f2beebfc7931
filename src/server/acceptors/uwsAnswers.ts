// Answers to HTTP requests on uWebSockets.js, after which the connection is closed.
//
// uWS closes only after a body that it was given whole: by `end`. What `end` cannot send at once it keeps, and nobody is told when that has left.
// So other bodies, and heads without one, go by `tryEnd`, which says how much the system has taken. It writes the length that it is told first as the
// body's; told one more later, it never takes the answer for done, and leaves the connection to be closed here.

import type * as uWS from 'uWebSockets.js';
import { Buffer } from 'node:buffer';
import { assert } from '../../core/assert.ts';
import { type HttpAnswer, type HttpBody, headersOf, STATUS_TEXT } from '../acceptor.ts';

const NOTHING = new Uint8Array(0);

/**
 * `tryEnd` holds fewer bytes back until the end of a `cork`, 16 KiB, and then nobody knows whether the system took them. So the last ones of a body
 * are never so few.
 */
const LAST_BYTES = 32 * 1024;

/** Begins an answer whose length is `bytes`. */
function begin(response: uWS.HttpResponse, answer: HttpAnswer, bytes: number): void {
  writeHead(response, answer);
  response.writeHeader('connection', 'close');
  response.tryEnd(NOTHING, bytes);
}

function writeHead(response: uWS.HttpResponse, answer: HttpAnswer): void {
  response.writeStatus(`${answer.status} ${STATUS_TEXT[answer.status]}`);
  for (const [name, value] of headersOf(answer)) response.writeHeader(name, value);
}

function end(response: uWS.HttpResponse, answer: HttpAnswer, body: string | Uint8Array): void {
  response.cork(() => {
    writeHead(response, answer);
    response.end(body, true);
  });
}

/** Sends an answer at once; of one whose body is made while it leaves only the head. */
export function write(response: uWS.HttpResponse, answer: HttpAnswer, isHead: boolean): void {
  const { body } = answer;
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.bytes;
  if (typeof body === 'string' && (!isHead || bytes === 0)) {
    end(response, answer, body);
    return;
  }
  response.cork(() => begin(response, answer, bytes));
  response.close();
}

/** Sends a body part by part, as fast as it is taken. Who takes nothing for 10 s is closed by uWS. */
export async function sendBody(response: uWS.HttpResponse, answer: HttpAnswer, body: HttpBody): Promise<void> {
  let isGone = false;
  let goOn = (): void => undefined;
  response.onAborted(() => {
    isGone = true;
    body.end();
    goOn();
  });
  body.begin(() => {
    if (!isGone) response.close();
  });
  const sender = new BodySender(response, answer, body.bytes, (go) => {
    goOn = go;
  });
  try {
    for (let part = await body.next(); part !== undefined && !isGone; part = await body.next()) await sender.send(part);
  } catch (thrown) {
    body.end();
    if (isGone) return;
    // What cannot be read is logged where it is. Whoever has a part of it sees that it is too short.
    if (sender.isBegun) response.close();
    else write(response, body.failed(thrown), false);
    return;
  }
  body.end();
  if (!isGone && !sender.isDone) response.close();
}

class BodySender {
  readonly #response: uWS.HttpResponse;
  readonly #answer: HttpAnswer;
  readonly #bytes: number;
  readonly #waits: (goOn: () => void) => void;
  #sentBytes = 0;
  /** What is sent with what follows it. */
  #tail: Uint8Array = NOTHING;
  /** The head was sent. */
  isBegun = false;
  /** The response must not be touched any more. */
  isDone = false;

  /** `waits` is told how to go on when the connection is gone. */
  constructor(response: uWS.HttpResponse, answer: HttpAnswer, bytes: number, waits: (goOn: () => void) => void) {
    this.#response = response;
    this.#answer = answer;
    this.#bytes = bytes;
    this.#waits = waits;
  }

  /** Resolves when the system has taken `part`, but for a short end that waits for the next one, or when the connection is gone. */
  async send(part: Uint8Array): Promise<void> {
    let bytes = this.#tail.length === 0 ? part : Buffer.concat([this.#tail, part]);
    const rest = this.#bytes - this.#sentBytes - bytes.length;
    assert(rest >= 0, 'a body is as long as was said');
    const isLast = rest === 0;
    const kept = isLast || rest >= LAST_BYTES ? 0 : Math.min(bytes.length, LAST_BYTES);
    this.#tail = bytes.slice(bytes.length - kept);
    bytes = bytes.subarray(0, bytes.length - kept);
    this.#sentBytes += bytes.length;
    if (isLast && !this.isBegun && bytes.length <= LAST_BYTES) {
      this.isDone = true;
      end(this.#response, this.#answer, bytes);
    } else if (bytes.length > 0) {
      await this.#send(bytes);
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const response = this.#response;
    const from = response.getWriteOffset();
    // One more than there are: see above.
    const total = this.#bytes + 1;
    let isTaken = true;
    response.cork(() => {
      if (!this.isBegun) begin(response, this.#answer, this.#bytes);
      this.isBegun = true;
      [isTaken] = response.tryEnd(bytes, total);
    });
    if (isTaken) return;
    await new Promise<void>((resolve) => {
      this.#waits(resolve);
      response.onWritable((offset) => {
        [isTaken] = response.tryEnd(bytes.subarray(offset - from), total);
        if (isTaken) resolve();
        return isTaken;
      });
    });
  }
}
