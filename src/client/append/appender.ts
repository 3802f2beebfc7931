// Appends on their way out: copied into the open message at once, sealed when it is full or the tick (or linger.ts) ends, sent while the server's
// window has room, settled by receipts.
//
//   append() ──► open message ──► sealed ──► sent ──► settled
//      └─(no room)─► waiting ──┘    ▲          └─(refused by the node)─► aside (retries.ts)
//                       (in order)  └──────────────────────────────────────┘

import { assert } from '../../core/assert.ts';
import { MAX_APPENDS_IN_FLIGHT } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { MIN_UPLOAD_BYTES } from '../../core/uploadLimits.ts';
import { APPEND_RECEIVED, type Receipt as WireReceipt } from '../../protocol/client.ts';
import type { Hello } from '../../protocol/greeting.ts';
import type { SessionOpened } from '../../protocol/sessions.ts';
import { abortedAppend } from '../aborts.ts';
import type { AppendLoad, Watch } from '../events.ts';
import { type Connection, isLater, type Loss } from '../nodes/connection.ts';
import type { Receipt, Settings } from '../options.ts';
import { Queue } from '../queue.ts';
import type { Uploader } from '../uploads/uploader.ts';
import type { Workspace } from '../wasm.ts';
import type { AppenderOwner } from './appenderOwner.ts';
import { AppendRoute } from './appendRoute.ts';
import { Arena } from './arena.ts';
import { DISPLACED, NewestChain } from './chains.ts';
import { Linger } from './linger.ts';
import {
  batchTooLarge,
  lostErrors,
  type Message,
  type Operation,
  placeless,
  plainOperation,
  type Reject,
  type Resolve,
  tooLarge,
} from './message.ts';
import { messageBytesOf, OpenMessage } from './openMessage.ts';
import { forgotten, Producer } from './producer.ts';
import { isNodesRefusal, Retries } from './retries.ts';
import { Room } from './room.ts';
import { Sent } from './sent.ts';
import { Settlement } from './settlement.ts';
import { Waiting } from './waiting.ts';

// The executor of every append's promise: one function for all of them, because a closure for each costs more than the copy.
let resolveOfNew: Resolve = () => {};
let rejectOfNew: Reject = () => {};
function capture(resolve: Resolve, reject: Reject): void {
  resolveOfNew = resolve;
  rejectOfNew = reject;
}

const PLACE_UNKNOWN = new LogError('CONDITION_FAILED', 'The place of this append is not known.');

export class Appender {
  readonly #workspace: Workspace;
  readonly #arena: Arena;
  readonly #settings: Settings;
  readonly #watch: Watch;
  readonly #defaultFlags: number;
  readonly #owner: AppenderOwner;
  readonly #uploader: Uploader | undefined;
  readonly #retries: Retries;
  /** Undefined: appends are of no session. */
  readonly #producer: Producer | undefined;
  readonly #flushInTick = (): void => this.#flush();
  readonly #route: AppendRoute;

  readonly #open: OpenMessage;
  readonly #linger: Linger;
  #isFlushScheduled = false;

  readonly #sealed = new Queue<Message>();
  readonly #sent = new Sent();
  readonly #newestChain = new NewestChain();
  readonly #room: Room;
  readonly #waiting: Waiting;
  readonly #settlement: Settlement;

  #maxPayloadBytes = 0;
  #windowBytes = 0;
  #messageBytes = 0;

  /** `uploader`: undefined when nothing is ever uploaded. */
  constructor(workspace: Workspace, settings: Settings, watch: Watch, owner: AppenderOwner, uploader: Uploader | undefined) {
    this.#workspace = workspace;
    this.#arena = new Arena(workspace);
    this.#settings = settings;
    this.#watch = watch;
    this.#defaultFlags = settings.ack === 'received' ? APPEND_RECEIVED : 0;
    this.#owner = owner;
    this.#uploader = uploader;
    this.#retries = new Retries(settings.timeoutMs);
    this.#producer = settings.producer === undefined ? undefined : new Producer(settings.producer);
    this.#route = new AppendRoute(settings.connectTimeoutMs);
    this.#waiting = new Waiting(settings, this.#defaultFlags, watch);
    this.#room = new Room(settings.maxInFlightBytes);
    this.#open = new OpenMessage(workspace, this.#arena);
    this.#linger = new Linger(settings.lingerMs, this.#flushInTick);
    this.#settlement = new Settlement(workspace, this.#arena, this.#room, watch);
  }

  /** Whether an append made now goes into the buffer at once, and there are not too many already. */
  get hasRoom(): boolean {
    return this.#waiting.length === 0 && this.#room.hasRoomBeside(this.#open.entryBytes, this.#open.callCount);
  }

  /** What is on its way, and what waits. */
  get load(): AppendLoad {
    return {
      inFlightAppendCount: this.#room.promises + this.#open.callCount,
      inFlightBytes: this.#room.bytes + this.#open.entryBytes,
      queuedAppendCount: this.#waiting.length,
      queuedBytes: this.#waiting.memory,
    };
  }

  /** Appends with the client's defaults. The payload is copied before this returns. */
  append(payload: Uint8Array): Promise<Receipt> {
    const { length } = payload;
    if (length > this.#maxPayloadBytes || !this.#open.fits(length)) return this.#appendSlowly(payload);
    const promise = new Promise<Receipt>(capture);
    this.#open.put(payload, resolveOfNew, rejectOfNew);
    if (!this.#isFlushScheduled) this.#scheduleFlush();
    return promise;
  }

  /** Queues or places any append; checks nothing but the queue's bound. */
  submit(operation: Operation): void {
    if (!this.#placeNow(operation) && this.#waiting.add(operation)) this.#mustWait();
  }

  /** Places an operation if it need not wait. */
  #placeNow(operation: Operation): boolean {
    if (this.#waiting.length > 0 || !this.#place(operation)) return false;
    // A full message leaves at once; what is alone by its nature waits for the end of the tick like all the rest.
    if (!operation.isAlone && this.#sealed.length > 0) this.#sendSealed();
    return true;
  }

  /** An append waits: later ones must not overtake it. */
  #mustWait(): void {
    this.#open.limitTo(0, this.#defaultFlags);
    if (this.#route.connection === undefined) this.#owner.wake();
  }

  /** Gives up an operation that was submitted, because of its signal: takes it back when it is not sent yet. */
  abort(operation: Operation, what: string, signal: AbortSignal): void {
    const { message } = operation;
    if (message !== undefined && (message.requestId !== 0 || message.isUncertain || message.sequence !== 0)) {
      this.#settlement.reject(operation, abortedAppend(what, signal, 'unknown'));
      message.abortedCount += 1;
      message.isGivenUp = message.waitingCount === 0;
      // It waits to be tried again, which nobody wants any more.
      if (message.requestId === 0 && message.sequence === 0 && this.#sealed.removeWhere((other) => other === message) !== undefined)
        this.#settlement.release(message);
      queueMicrotask(() => this.#afterRelease());
      return;
    }
    this.#settlement.reject(operation, abortedAppend(what, signal, 'failed'));
    if (message === undefined) {
      this.#waiting.remove(operation);
    } else if (this.#open.is(message)) {
      this.#open.remove(operation);
    } else {
      const before = message.entryBytes;
      message.end = message.remove(operation, message.end, this.#workspace);
      // Followers have other bytes than it has now.
      message.upload?.release();
      message.upload = undefined;
      this.#room.release(before - message.entryBytes, 1);
      if (message.entryBytes === 0 && this.#sealed.removeWhere((other) => other === message) !== undefined) {
        this.#arena.release(message.run);
      }
    }
    // Not at once: one signal may abort several appends, and what this one made room for must not overtake the others' turn.
    queueMicrotask(() => this.#afterRelease());
  }

  /** Resolves when {@link hasRoom}, or when nothing is left to wait for. */
  ready(): Promise<void> {
    return this.hasRoom ? Promise.resolve() : this.#room.ready();
  }

  /** Resolves when everything that was submitted is settled. No more is submitted after this call. */
  drained(): Promise<void> {
    if (this.#isDrained()) return Promise.resolve();
    this.#linger.hurry();
    this.#flush();
    return this.#room.drained();
  }

  /** Goes on over the connection to a leader. */
  connected(connection: Connection): void {
    const next = this.#route.offer(connection);
    if (next === undefined) return;
    this.adopt(next.hello);
    this.#afterRelease();
  }

  /** The node of a connection leads no longer: what it has is answered or given up, the rest waits for the next leader. */
  left(connection: Connection): void {
    this.#route.close(connection);
    this.#afterRelease();
  }

  /** A receipt came. False when it answers nothing that was sent, or says other bytes than that. */
  acknowledged(connection: Connection, receipt: WireReceipt): boolean {
    const message = this.#sent.get(receipt.requestId);
    if (message === undefined || connection !== this.#route.connection || !message.matches(receipt)) return false;
    this.#retries.done(message);
    this.#settlement.acknowledge(message, receipt);
    this.#forget(message);
    return true;
  }

  /** After the receipts of one message: what they made room for is done once for all of them. Likewise after uploads that are over. */
  settledSome(): void {
    this.#afterRelease();
  }

  /** The server refused an append, or what is no append of ours, which is ignored. */
  refused(connection: Connection, requestId: number, error: LogError): void {
    const message = this.#sent.get(requestId);
    if (message === undefined || connection !== this.#route.connection) return;
    const isNodes = isNodesRefusal(error);
    if (isNodes && this.#retries.setAside(message, error)) {
      this.#sent.remove(message);
    } else if (message.sequence !== 0) {
      this.#sessionRefused(message, error, isNodes);
    } else if (error.code === 'CONDITION_FAILED' && message.isUncertain) {
      this.#sent.remove(message);
      void this.#recheck(message, error);
    } else {
      this.#failSent(message, error);
    }
    if (error.code === 'DISK_FULL') this.#watch.diskFullMessageCount += 1;
    if (isNodes) this.#owner.refused(connection, error);
    this.#afterRelease();
  }

  /** A message of the session was refused: for good, or because the session cannot go on; or its callers have waited for long enough. */
  #sessionRefused(message: Message, error: LogError, isNodes: boolean): void {
    const { code } = error;
    if (isNodes) {
      this.#giveUp(message, error);
    } else if (code === 'SEQUENCE_GAP' || code === 'UNKNOWN_SESSION') {
      // After one that was refused, each is a gap.
      if (code === 'UNKNOWN_SESSION' || this.#producer?.isOpen === true) this.#producer?.lose();
      this.#sent.remove(message);
      this.#retries.keep(message, error);
    } else if (message.isUncertain) {
      this.#sent.remove(message);
      this.#keepRefused(message, error);
    } else {
      if (code === 'CONDITION_FAILED') this.#producer?.refuse(message);
      else this.#producer?.lose();
      this.#failSent(message, error);
    }
  }

  /** A message of the session was refused for good, and an earlier try may be done: the session has it by that, or never will, which is known when another one is open. */
  #keepRefused(message: Message, error: LogError): void {
    this.#producer?.lose();
    message.isRefused = true;
    this.#retries.keep(message, error);
  }

  /** The callers of a message of the session wait no longer. What may be done yet is sent again all the same: what comes after it in the session must. */
  #giveUp(message: Message, error: LogError): void {
    if (error.outcome !== 'unknown' && !message.isUncertain) {
      // Nothing of it is on its way, and nobody may find it in the log later.
      this.#producer?.refuse(message);
      this.#failSent(message, error);
      return;
    }
    this.#sent.remove(message);
    this.#settlement.fail(message, error);
    message.abortedCount = message.rejects.length;
    message.isGivenUp = true;
    this.#retries.keep(message, error);
  }

  /** The connection is gone. What is still open failed if the node said so, by its goodbye or by a fatal error before it; of the rest we cannot know. */
  lost(connection: Connection, { reason, fatalId, isGoodbye }: Loss): void {
    this.#route.close(connection);
    if (this.#route.connection !== connection) return;
    const { unknown, failed } = lostErrors(connection.url, reason);
    for (const message of this.#sent.all()) {
      const error = isGoodbye || (fatalId !== 0 && isLater(message.requestId, fatalId)) ? failed : unknown;
      if (this.#retries.setAside(message, error)) {
        this.#sent.remove(message);
      } else if (message.sequence !== 0) {
        this.#giveUp(message, error);
      } else {
        this.#failSent(message, error);
      }
    }
    this.#leave();
    this.#afterRelease();
  }

  /** Fails all that is not settled: what was sent with `unknown`, the rest with `failed`. */
  giveUp(unknown: LogError, failed: LogError): void {
    for (const message of this.#sent.all()) this.#failSent(message, unknown);
    const { again, tooLate } = this.#retries.take();
    for (const message of [...again, ...tooLate]) this.#failHere(message, failed);
    this.failUnsent(failed);
  }

  /** Fails all that is not sent. */
  failUnsent(error: LogError): void {
    if (this.#open.entryBytes > 0) this.#seal();
    for (let message = this.#sealed.shift(); message !== undefined; message = this.#sealed.shift()) {
      // What comes after it in its session cannot.
      if (message.sequence !== 0) this.#producer?.lose();
      this.#settlement.fail(message, error);
      this.#settlement.release(message);
    }
    for (let operation = this.#waiting.shift(); operation !== undefined; operation = this.#waiting.shift())
      this.#settlement.reject(operation, error);
    this.#afterRelease();
  }

  /** Nothing is open on the connection any more: what was set aside is put in front of what was not sent yet. */
  #leave(): void {
    const { again, tooLate } = this.#retries.take();
    for (const message of tooLate) {
      if (message.refusal !== undefined) this.#settlement.fail(message, message.refusal);
      this.#settlement.release(message);
    }
    for (const message of again) message.requestId = 0;
    this.#watch.resentMessageCount += again.length;
    this.#sealed.prepend(again);
    // The session alone cannot go on.
    if (!this.#route.isLeaving && this.#route.connection !== undefined) return;
    const next = this.#route.next();
    if (next !== undefined) this.adopt(next.hello);
    else if (again.length > 0) this.#owner.wake();
  }

  /** Finds out what became of an earlier try, and settles the append. */
  async #recheck(message: Message, refusal: LogError): Promise<void> {
    const result = await this.#owner.recheck(message, refusal);
    if (result === undefined && !message.isGivenUp && performance.now() < message.retryUntilMs) {
      message.requestId = 0;
      this.#sealed.prepend([message]);
    } else {
      if (result === undefined) {
        this.#settlement.fail(message, refusal);
      } else if (result instanceof LogError) {
        this.#settlement.failFinally(message, result);
      } else {
        this.#settlement.acknowledge(message, result);
      }
      this.#settlement.release(message);
    }
    this.#afterRelease();
  }

  /** Takes over a server's limits: the leader's, or before there is one those of another node, which are the same as a rule. */
  adopt(hello: Hello): void {
    this.#maxPayloadBytes = hello.maxPayloadBytes;
    this.#windowBytes = hello.windowBytes;
    this.#messageBytes = Math.min(messageBytesOf(hello), this.#settings.batchBytes);
  }

  #appendSlowly(payload: Uint8Array): Promise<Receipt> {
    const { length } = payload;
    if (length > this.#maxPayloadBytes) return Promise.reject(tooLarge(length, this.#maxPayloadBytes));
    if (this.#waiting.length > 0 && !this.#waiting.hasRoomFor(length)) return this.#waiting.refusedPlain();
    const promise = new Promise<Receipt>(capture);
    if (this.#placeNow(plainOperation(payload, this.#defaultFlags, resolveOfNew, rejectOfNew))) return promise;
    if (!this.#waiting.hasRoomFor(length)) return this.#waiting.refusedPlain();
    this.#waiting.addPlain(payload, resolveOfNew, rejectOfNew);
    this.#mustWait();
    return promise;
  }

  /** Copies an operation into the open message, or a new one. False when it must wait for room. */
  #place(operation: Operation): boolean {
    const { entryBytes, isAlone } = operation;
    const busyBytes = this.#room.bytes + this.#open.entryBytes;
    // One entry larger than the bound must get through: alone.
    if (busyBytes > 0 && busyBytes + entryBytes > this.#settings.maxInFlightBytes) return false;
    if (this.#room.promises + this.#open.callCount >= MAX_APPENDS_IN_FLIGHT) return false;
    if (!this.#open.takes(operation)) {
      this.#seal();
      if (!this.#open.begin(this.#messageBytes, operation)) return false;
    }
    this.#open.place(operation);
    if (isAlone) this.#seal();
    else this.#setLimit();
    if (!this.#isFlushScheduled) this.#scheduleFlush();
    return true;
  }

  /** Closes the open message, if there is one. */
  #seal(): void {
    this.#linger.done();
    const message = this.#open.seal();
    if (message === undefined) return;
    this.#room.hold(message.entryBytes, message.rejects.length);
    this.#sealed.push(message);
    this.#upload(message);
  }

  /** Begins to put a message on followers, if that helps. */
  #upload(message: Message): void {
    if (this.#uploader?.helps(message.entryBytes) !== true) return;
    const { bytes } = this.#workspace;
    // As it is in the log.
    if (this.#producer?.owns(message) === true) message.join(this.#workspace);
    this.#workspace.frame(message.entriesAt, message.entryBytes);
    message.upload = this.#uploader.upload(bytes.subarray(message.entriesAt, message.end));
  }

  /** How far plain appends may write into the open message without asking: to its end, and to the bound of bytes in flight. */
  #setLimit(): void {
    this.#open.limitTo(this.#waiting.length > 0 ? 0 : this.#settings.maxInFlightBytes - this.#room.bytes, this.#defaultFlags);
  }

  /** All appends of this tick, and of promises that resolve in it, travel together; with those of later ticks, while the message lingers. */
  #scheduleFlush(): void {
    this.#isFlushScheduled = true;
    queueMicrotask(this.#flushInTick);
  }

  /** Sends what the window has room for. While it has none the open message goes on filling. */
  #flush(): void {
    this.#isFlushScheduled = false;
    if (this.#route.connection === undefined) {
      if (!this.#isDrained()) this.#owner.wake();
      return;
    }
    this.#sendSealed();
    const openBytes = this.#open.entryBytes;
    if (openBytes === 0 || !this.#hasRoomToSend(openBytes)) return;
    // Whoever has no room waits for this very message.
    if (this.hasRoom && this.#linger.waits()) return;
    this.#seal();
    this.#sendSealed();
  }

  /** Whether the open message, of `openBytes`, is not to wait for more. */
  #hasRoomToSend(openBytes: number): boolean {
    const first = this.#sealed.peek();
    if (first === undefined && this.#sent.hasRoomFor(openBytes, this.#windowBytes)) return true;
    if (openBytes < MIN_UPLOAD_BYTES) return false;
    // What stands before it waits for its upload, and its own may be made meanwhile.
    if (first?.upload?.isOver === false && this.#room.bytes + openBytes <= this.#windowBytes) return true;
    // Or for the receipts of others, which take the way to the leader alone: those to the followers would be idle.
    return this.#uploader?.isIdleFor(openBytes) === true;
  }

  #sendSealed(): void {
    for (let message = this.#sealed.peek(); message !== undefined; message = this.#sealed.peek()) {
      const { connection } = this.#route;
      if (connection === undefined || connection.isLost || this.#route.isLeaving) return;
      // What its session kept is sent again first, once all else is answered: nothing of a writer keeps that from ever being so.
      if (this.#producer?.isLost === true && this.#retries.hasAside) return;
      if (message.upload?.isOver === false || !this.#sent.hasRoomFor(message.entryBytes, this.#windowBytes)) return;
      if (this.#mustOpen(connection, message)) return;
      this.#sealed.shift();
      const { maxBatchBytes } = connection.hello;
      // The limits may have become smaller since it was built: another server may have answered.
      if (message.entryBytes > maxBatchBytes) {
        const error = batchTooLarge(message.entryBytes, maxBatchBytes);
        if (message.sequence !== 0 && message.isUncertain) {
          this.#keepRefused(message, error);
          queueMicrotask(() => this.#afterRelease());
          continue;
        }
        if (message.sequence !== 0) this.#producer?.lose();
        this.#failHere(message, error);
      } else if (!this.#newestChain.send(connection, message)) this.#failHere(message, DISPLACED);
      else this.#send(connection, message);
    }
  }

  /** Whether `message` cannot be sent before a session is open, which begins, or before it is known that there is none. */
  #mustOpen(connection: Connection, message: Message): boolean {
    const producer = this.#producer;
    if (producer?.owns(message) !== true || producer.isOpen) return false;
    // What was sent in the one before is answered first.
    if (producer.isOpening || this.#sent.size > 0) return true;
    if (producer.goOn(this.#sealed.all())) return false;
    void this.#openSession(connection, producer);
    return true;
  }

  async #openSession(connection: Connection, producer: Producer): Promise<void> {
    try {
      const opened = await producer.open(connection);
      if (opened !== undefined) this.#resume(producer, opened, placeless(connection.hello));
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      if (isNodesRefusal(thrown)) this.#owner.refused(connection, thrown);
      else this.failUnsent(thrown);
    }
    this.#afterRelease();
  }

  /** Another session is open: it is known what became of what was sent in the one before. */
  #resume(producer: Producer, opened: SessionOpened, placelessReceipt: WireReceipt): void {
    const messages: Message[] = [];
    for (let message = this.#sealed.shift(); message !== undefined; message = this.#sealed.shift()) messages.push(message);
    const { again, done, unknown, refused, dropped } = producer.resume(opened, messages);
    this.#sealed.prepend(again);
    for (const message of done) void this.#acknowledgeDone(message, placelessReceipt);
    for (const message of unknown) {
      const error = forgotten(producer.name);
      if (message.isConditional) {
        message.sequence = 0;
        message.isRefused = false;
        void this.#recheck(message, error);
        continue;
      }
      this.#settlement.failFinally(message, error);
      this.#settlement.release(message);
    }
    for (const message of refused) {
      this.#settlement.failFinally(message, message.refusal ?? PLACE_UNKNOWN);
      this.#settlement.release(message);
    }
    for (const message of dropped) this.#settlement.release(message);
  }

  /** A message is in the log, by a session that is over: where, only the log says, and that of those with a condition. */
  async #acknowledgeDone(message: Message, placelessReceipt: WireReceipt): Promise<void> {
    const found = message.isConditional ? await this.#owner.recheck(message, message.refusal ?? PLACE_UNKNOWN) : undefined;
    this.#settlement.acknowledge(message, found === undefined || found instanceof LogError ? placelessReceipt : found);
    this.#settlement.release(message);
    if (message.isConditional) this.#afterRelease();
  }

  #send(connection: Connection, message: Message): void {
    if (this.#producer?.owns(message) === true) this.#producer.number(message, this.#workspace);
    this.#retries.sending(message);
    this.#sent.send(connection, message, this.#workspace);
  }

  /** A message is not sent. */
  #failHere(message: Message, error: LogError): void {
    this.#settlement.fail(message, error);
    this.#settlement.release(message);
    // No receipt will come for it, and somebody may be waiting for its room, or for everything to be settled.
    queueMicrotask(() => this.#afterRelease());
  }

  /** A message that was sent fails. */
  #failSent(message: Message, error: LogError): void {
    if (error.outcome === 'unknown') this.#retries.done(message);
    this.#settlement.fail(message, error);
    this.#forget(message);
  }

  /** A sent message is settled: its memory is free. */
  #forget(message: Message): void {
    this.#sent.remove(message);
    this.#settlement.release(message);
  }

  /** Bytes became free: takes in who waits, sends what may go, and tells who wanted to know. */
  #afterRelease(): void {
    // What its session kept is put back in its order, also where the connection goes on.
    if ((this.#route.isLeaving || this.#producer?.isLost === true) && this.#sent.size === 0) this.#leave();
    this.#flush();
    for (let operation = this.#waiting.peek(); operation !== undefined; operation = this.#waiting.peek()) {
      if (!this.#place(operation)) break;
      this.#waiting.shift();
      if (this.#sealed.length > 0) this.#sendSealed();
    }
    this.#setLimit();
    if (this.#room.isAwaited) this.#room.tell(this.hasRoom, this.#isDrained());
  }

  #isDrained(): boolean {
    const isDrained = this.#room.bytes === 0 && this.#waiting.length === 0 && this.#open.entryBytes === 0;
    if (isDrained) {
      assert(this.#sent.size === 0 && this.#sealed.length === 0, 'an append that is on its way is in flight');
      assert(this.#arena.messageCount === (this.#open.isBegun ? 1 : 0), 'memory of messages is given back when they are settled');
    }
    return isDrained;
  }
}
