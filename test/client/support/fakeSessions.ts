// What a node knows of producers' sessions, for tests of the client: appends of sessions are ordered once, and sent again they have the same receipt.

import { viewOf } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import {
  APPEND,
  APPEND_CONDITIONAL,
  APPENDED_HEADER_BYTES,
  encodeAppendedHeader,
  encodeReceipt,
  LEVEL_COMMITTED,
  RECEIPT_BYTES,
} from '../../../src/protocol/client.ts';
import { FEATURE_SESSIONS } from '../../../src/protocol/greeting.ts';
import {
  APPEND_SESSION,
  APPEND_SESSION_BYTES,
  appendSessionIn,
  encodeSessionOpened,
  OPEN_SESSION,
  openSessionIn,
  type ProducerName,
} from '../../../src/protocol/sessions.ts';
import type { FakeConnection, FakeServer, SeenRequest } from './fakeServer.ts';

interface Held extends ProducerName {
  readonly session: number;
  /** What the one before it had. */
  readonly before: number;
  readonly beforeSequence: number;
  /** Where each append is: of sequence 1, 2, … */
  readonly places: { readonly first: number; readonly end: number }[];
}

/** The sessions of a log, which several nodes may have. */
export class FakeSessions {
  readonly held = new Map<string, Held>();
  /** Requests to open one, in their order: whether it is to follow another one. */
  readonly opened: boolean[] = [];
  /** Session and sequence of each append that came. */
  readonly came: [number, number][] = [];
  /** What an append gets that would be ordered, in place of that; undefined: it is ordered. `lost`: it is, and its receipt never comes; `silent`: so, too, and the connection stays; `dropped`: it is not, and the connection ends. */
  onAppend: (sequence: number) => ErrorCode | 'lost' | 'silent' | 'dropped' | undefined = () => undefined;
  /** The next SEQUENCE_GAP never comes. */
  losesGap = false;
  /** The answer to OPEN_SESSION; undefined: the right one; `lost`: it is opened, and the answer never comes. */
  onOpen: () => ErrorCode | 'lost' | undefined = () => undefined;
  #next = 1000;

  /** Lets `server` serve them. */
  on(server: FakeServer): void {
    server.hello = { ...server.hello, features: server.hello.features | FEATURE_SESSIONS };
    server.onRequest = (request, connection) => this.#serve(request, connection);
  }

  #serve(request: SeenRequest, connection: FakeConnection): boolean {
    if (connection.server.hello.role !== 'leader') return false;
    if (request.opcode === OPEN_SESSION) this.#open(request, connection);
    else if (request.opcode === APPEND && (request.flags & APPEND_SESSION) !== 0) this.#append(request, connection);
    else return false;
    return true;
  }

  #open({ requestId, offset: follows, body }: SeenRequest, connection: FakeConnection): void {
    const producer = openSessionIn(body);
    if (typeof producer === 'string') throw new Error(producer);
    this.opened.push(follows !== 0);
    const answer = this.onOpen();
    const before = this.held.get(producer.name);
    const isFenced = follows !== 0 && before !== undefined && before.instance !== producer.instance;
    const refusal = isFenced ? 'FENCED' : answer === 'lost' ? undefined : answer;
    if (refusal !== undefined) {
      connection.error(requestId, refusal, 0, 'the test refuses it');
      return;
    }
    const isThere = before !== undefined && before.instance === producer.instance && before.session !== follows;
    const held = isThere ? before : this.#begin(producer, before);
    if (answer === 'lost') connection.kill();
    else connection.send(encodeSessionOpened(requestId, held));
  }

  #begin(producer: ProducerName, over: Held | undefined): Held {
    this.#next += 100;
    const held = { ...producer, session: this.#next, before: over?.session ?? 0, beforeSequence: over?.places.length ?? 0, places: [] };
    this.held.set(producer.name, held);
    return held;
  }

  #append(request: SeenRequest, connection: FakeConnection): void {
    const { requestId, flags, offset, body, a } = request;
    const of = appendSessionIn(body);
    if (of === undefined) throw new Error('an append of no session');
    this.came.push([of.session, of.sequence]);
    const held = [...this.held.values()].find(({ session }) => session === of.session);
    if (held === undefined) {
      connection.error(requestId, 'UNKNOWN_SESSION', 0, 'there is no such session');
    } else if (of.sequence <= held.places.length) {
      this.#acknowledge(requestId, held.places[of.sequence - 1], connection);
    } else if (of.sequence !== held.places.length + 1) {
      if (this.losesGap) connection.kill();
      else connection.error(requestId, 'SEQUENCE_GAP', held.places.length, 'others are due before it');
      this.losesGap = false;
    } else {
      const answer = this.onAppend(of.sequence);
      const { server } = connection;
      if (answer === 'dropped') {
        connection.kill();
        return;
      }
      if (answer !== undefined && answer !== 'lost' && answer !== 'silent') {
        connection.error(requestId, answer, 0, 'the test refuses it');
        return;
      }
      if ((flags & APPEND_CONDITIONAL) !== 0 && (server.dataEnd > offset || offset > server.end)) {
        connection.error(requestId, 'CONDITION_FAILED', server.end, `data ends at ${server.dataEnd}`);
        return;
      }
      const first = server.end;
      server.order(body.subarray(APPEND_SESSION_BYTES), a);
      held.places.push({ first, end: server.end });
      if (answer === 'lost') connection.kill();
      else if (answer === undefined) this.#acknowledge(requestId, held.places.at(-1), connection);
    }
  }

  /** `place` undefined: it was trimmed. */
  #acknowledge(requestId: number, place: { readonly first: number; readonly end: number } | undefined, connection: FakeConnection): void {
    const bytes = new Uint8Array(APPENDED_HEADER_BYTES + RECEIPT_BYTES);
    const { term } = connection.server.hello;
    encodeAppendedHeader(viewOf(bytes), 1);
    const { first, end } = place ?? { first: 0, end: 0 };
    encodeReceipt(viewOf(bytes), 0, requestId, first === end ? 0 : term, first, end, LEVEL_COMMITTED, 0b1);
    connection.send(bytes);
  }
}
