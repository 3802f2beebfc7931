// A simulated producer: appends in a session, one after the other, and sends what has no answer again and again, on any connection to any node, until the log
// has it once. Another one may come with its name, and then it is over.

import { type ErrorCode, LogError } from '../../src/core/errors.ts';
import { sessionsIn } from '../../src/format/sessions.ts';
import type { Complete } from '../../src/history/recorder.ts';
import { WORD } from '../../src/memory/map.ts';
import type { Upload } from '../../src/memory/orderedUploads.ts';
import { conditionOf } from '../../src/node/chain.ts';
import { APPEND_CONDITIONAL } from '../../src/protocol/client.ts';
import type { SessionOpened } from '../../src/protocol/sessions.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import type { Random } from '../assembly/random.ts';
import { Connection, type ConnectionOwner, nodesOf } from './connection.ts';
import { covers } from './coverage.ts';
import { encodeEntries } from './payloads.ts';
import { type Contents, Uploader } from './uploader.ts';
import type { World } from './world.ts';

/** Sent and not answered. */
interface Sent {
  /** In the history, too: where another one is open, or after a refusal, it has another one. */
  readonly place: { session: number; sequence: number };
  readonly ids: readonly number[];
  readonly sizes: readonly number[];
  readonly complete: Complete;
  readonly upload: Upload | undefined;
  /** Undefined: it has no condition. */
  readonly expectedEnd: number | undefined;
  /** A try may have been done. */
  isUncertain: boolean;
  /** Its condition does not hold: it is in the log by an earlier try, or never will be. */
  isRefused: boolean;
}

/** So many are sent before the first is answered. */
const MOST_SENT = 6;
const OVERHEAD_BYTES = 12;

export class Producer implements ConnectionOwner {
  readonly world: World;
  readonly #random: Random;
  readonly #name: string;
  readonly #instance: string;
  #connection: Connection | undefined;
  #isConnecting = false;
  #connections = 0;
  #nextRequestId = 1;
  #hint: NodeId = 0;
  #session = 0;
  #isOpening = false;
  #isLost = false;
  #isFenced = false;
  #sequence = 0;
  readonly #sent: Sent[] = [];
  readonly #pending = new Map<number, Sent>();
  #isStopped = false;
  readonly #uploader = new Uploader(this);
  /** The end of what was acknowledged last. */
  #knownEnd = 0;
  /**
   * The first that was refused because its condition does not hold; 0: none. Those after it are gaps; when all that was sent is answered, they have its sequence and the
   * next ones, if none of them may have come twice.
   */
  #refused = 0;
  /** It does nothing before this. */
  #restsUntilMs = 0;
  /** It waits until what it appends next is uploaded: counts how often it did. */
  #uploading = 0;
  #isUploading = false;

  constructor(world: World, random: Random, name: string, number: number) {
    this.world = world;
    this.#random = random;
    this.#name = name;
    this.#instance = String(number).padStart(16, '0');
  }

  /** Whether nothing of it waits for an answer. */
  get isSettled(): boolean {
    return this.#sent.length === 0;
  }

  start(): void {
    this.#planNext();
  }

  /** No new appends; what is open is asked for until it is answered. */
  stop(): void {
    this.#isStopped = true;
  }

  #planNext(): void {
    const { scheduler, profile } = this.world;
    scheduler.after((profile.thinkMs * (200 + this.#random.below(1600))) / 1000, () => {
      if (this.#isFenced || (this.#isStopped && this.isSettled)) return;
      this.#act();
      this.#planNext();
    });
  }

  #act(): void {
    if (this.world.scheduler.nowMs < this.#restsUntilMs) return;
    const connection = this.#connection;
    if (connection === undefined) this.#connect();
    else if (this.#session === 0 || this.#isLost) this.#open(connection);
    else if (this.#random.oneIn(25)) this.disconnect();
    else if (!this.#isStopped && !this.#isUploading && this.#refused === 0 && this.#sent.length < MOST_SENT) this.#append(connection);
  }

  #connect(): void {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    const { world } = this;
    const node = world.pickNode(this.#hint);
    world.scheduler.after(2 * world.clientDelayMs(), () => {
      this.#isConnecting = false;
      const { process } = node;
      if (process?.door.isOpen !== true || this.#connection !== undefined) {
        this.#hint = 0;
        return;
      }
      this.#connections += 1;
      const connection = new Connection(this, process, `${this.#name}:${this.#instance}:${this.#connections}`);
      this.#connection = connection;
      process.door.enter(connection);
      process.onDeath.push(() => {
        if (!connection.isDismissed) this.lost(connection);
      });
      if (!this.#isLost) for (const sent of this.#sent) this.#send(connection, sent);
    });
  }

  /** What was sent on it is still on its way, and may arrive after it was sent again elsewhere. */
  disconnect(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#isOpening = false;
    connection.leave();
    for (const sent of this.#pending.values()) sent.isUncertain = true;
    this.#pending.clear();
    if (this.#refused > 0) this.#isLost = true;
  }

  dismissed(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#hint = 0;
    this.#connection = undefined;
    this.#isOpening = false;
    connection.isLeft = true;
    // Nothing that it left unanswered was done.
    this.#pending.clear();
    if (this.#refused > 0) this.#isLost = true;
  }

  lost(connection: Connection): void {
    if (this.#connection === connection) this.disconnect();
  }

  // Sessions

  #open(connection: Connection): void {
    // What was sent in the one before has its answers first.
    if (this.#isOpening || this.#pending.size > 0) return;
    this.#isOpening = true;
    const follows = this.#session;
    const producer = { name: this.#name, instance: this.#instance };
    const { process } = connection;
    connection.request('open session', () => {
      process.settles(0, 'session', () => {
        const { fold, sessions } = process.engine;
        const isThere = sessionsIn(fold.sessions.slice()).some(
          ({ name, instance, session }) => name === producer.name && instance === producer.instance && session !== follows,
        );
        if (isThere && process.memory.word(WORD.OPEN_TERM) !== 0) covers('a session is opened, and asked for again');
        sessions.request(producer, follows).then(
          (opened) => connection.answer(() => this.#opened(connection, opened)),
          (thrown: unknown) => {
            if (!(thrown instanceof LogError)) throw thrown;
            connection.answer(() => this.#notOpened(connection, thrown.code));
          },
        );
      });
    });
    this.world.scheduler.after(this.world.profile.waitMs, () => {
      if (this.#connection === connection && this.#isOpening) this.disconnect();
    });
  }

  #opened(connection: Connection, { session, before, beforeSequence }: SessionOpened): void {
    if (this.#connection !== connection) return;
    if (!this.#isStopped && this.world.sessions.drawUnheard()) {
      this.disconnect();
      return;
    }
    const isSame = before === this.#session;
    if (!isSame && this.#session !== 0) this.world.sessions.isForgotten(this.#session);
    this.#isOpening = false;
    this.#isLost = false;
    this.#session = session;
    this.#sequence = 0;
    this.#refused = 0;
    for (const sent of this.#sent.splice(0)) {
      const { place, complete, isUncertain, isRefused } = sent;
      if (isSame && place.sequence <= beforeSequence) complete({ kind: 'done' });
      else if (!isSame && isUncertain) complete({ kind: 'unknown', why: 'its session was forgotten' });
      else if (isRefused) complete({ kind: 'failed', why: 'its condition does not hold, and its session does not have it' });
      else {
        covers('an append of a session is sent again in another one');
        // What is not in the session before never will be.
        sent.isUncertain = false;
        this.#sent.push(sent);
        this.#number(sent);
        this.#send(connection, sent);
      }
    }
  }

  #notOpened(connection: Connection, code: ErrorCode): void {
    if (this.#connection !== connection) return;
    this.#isOpening = false;
    if (code === 'FENCED') this.#fenced();
    else if (code === 'TOO_MANY_SESSIONS') this.#giveUp('the log has no room for its session');
    else this.#elsewhere(connection);
  }

  #giveUp(why: string): void {
    for (const { complete, isUncertain } of this.#sent.splice(0)) complete({ kind: isUncertain ? 'unknown' : 'failed', why });
  }

  #fenced(): void {
    covers('a producer is fenced');
    this.#isFenced = true;
    this.disconnect();
    this.#giveUp('another one has its name');
  }

  // Appends

  #append(connection: Connection): void {
    const drawn = Array.from({ length: this.#random.pick(1, 1, 2, 4) }, () => 4 + this.#random.below(this.#random.pick(20, 300)));
    const { uploads, scheduler, profile } = this.world;
    const sizes = uploads.isOn ? uploads.sizesFor(drawn) : drawn;
    const contents = { ids: sizes.map(() => this.world.newId()), sizes, isBatch: true };
    if (!uploads.isOn) {
      this.#appendNow(connection, contents, undefined);
      return;
    }
    this.#uploading += 1;
    this.#isUploading = true;
    const uploading = this.#uploading;
    const isOver = (): boolean => !this.#isUploading || this.#uploading !== uploading;
    // Those after it in the session wait, until it is appended, or given up.
    this.#uploader.put(Number(this.#instance), contents, true, (upload) => {
      if (isOver()) return;
      this.#isUploading = false;
      const isOpen = this.#connection === connection && !this.#isLost && !this.#isOpening && !this.#isStopped;
      if (isOpen) this.#appendNow(connection, contents, upload);
    });
    scheduler.after(profile.waitMs, () => {
      if (!isOver()) this.#isUploading = false;
    });
  }

  #appendNow(connection: Connection, { ids, sizes }: Contents, upload: Upload | undefined): void {
    const place = { session: 0, sequence: 0 };
    const expectedEnd = this.world.sessions.drawCondition() ? this.#knownEnd : undefined;
    const complete = this.world.history.append({
      client: 1_000_000 + Number(this.#instance),
      ids,
      level: 'committed',
      expectedEnd,
      producer: place,
    });
    const sent = { place, ids, sizes, complete, upload, expectedEnd, isUncertain: false, isRefused: false };
    this.#sent.push(sent);
    this.#number(sent);
    this.#send(connection, sent);
  }

  /** Gives it the next place in the session. */
  #number({ place }: Sent): void {
    this.#sequence += 1;
    place.session = this.#session;
    place.sequence = this.#sequence;
  }

  #send(connection: Connection, sent: Sent): void {
    const { world } = this;
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    this.#pending.set(requestId, sent);
    for (const size of sent.sizes) world.sentBytes += size + OVERHEAD_BYTES;
    const entries = encodeEntries(sent.ids[0] ?? 0, sent.sizes, true);
    const session = { ...sent.place };
    connection.request('append', () => {
      const { process } = connection;
      if (sent.isUncertain && process.memory.word(WORD.OPEN_TERM) !== 0) {
        const last = process.engine.fold.producers.lastOf(session.session);
        const wasThere = last !== undefined && last.sequence >= session.sequence;
        covers(
          wasThere ? 'an append of a session is sent again, and was there' : 'an append of a session is sent again, and was not there',
        );
      }
      const before = process.memory.tail;
      process.uploads.accepts(sent.upload, () => {
        process.engine.appends.accept({
          caller: connection,
          requestId,
          entries,
          entryCount: sent.ids.length,
          received: false,
          condition:
            sent.expectedEnd === undefined
              ? undefined
              : conditionOf(connection, { flags: APPEND_CONDITIONAL, offset: sent.expectedEnd, b: 0 }),
          upload: sent.upload,
          session,
          arrivedMs: process.node.localMs(),
        });
        return process.memory.tail > before;
      });
    });
    world.scheduler.after(world.profile.waitMs, () => {
      if (this.#connection === connection && this.#pending.has(requestId)) this.disconnect();
    });
  }

  appendedAt(connection: Connection, requestId: number, { term, offset, end, nodes }: Parameters<ConnectionOwner['appendedAt']>[2]): void {
    const sent = this.#pending.get(requestId);
    if (sent === undefined || this.#connection !== connection) return;
    const restMs = this.#isStopped ? 0 : this.world.sessions.drawRest();
    if (restMs > 0) {
      // The connection broke first. What it asks for when it comes back may be trimmed by then.
      this.#restsUntilMs = this.world.scheduler.nowMs + restMs;
      this.disconnect();
      return;
    }
    this.#pending.delete(requestId);
    this.#sent.splice(this.#sent.indexOf(sent), 1);
    covers('an append of a session is acknowledged');
    if (term === 0) {
      covers('an append of a session is done, and trimmed');
      sent.complete({ kind: 'done' });
    } else {
      this.world.sessions.isAt(sent.place, { offset, end });
      this.#knownEnd = Math.max(this.#knownEnd, end);
      sent.complete({ kind: 'ok', offset, end, term, nodes: nodesOf(nodes) });
    }
    this.#goOn(connection);
  }

  refused(connection: Connection, requestId: number, code: ErrorCode, mayHaveHappened: boolean): void {
    const sent = this.#pending.get(requestId);
    if (sent === undefined || this.#connection !== connection) return;
    this.#pending.delete(requestId);
    if (mayHaveHappened) sent.isUncertain = true;
    if (code === 'CONDITION_FAILED') sent.isRefused = true;
    if (code === 'CONDITION_FAILED' && !sent.isUncertain) {
      this.#sent.splice(this.#sent.indexOf(sent), 1);
      sent.complete({ kind: 'failed', why: code });
      this.#refused = sent.place.sequence;
    } else if (code === 'SEQUENCE_GAP' && this.#refused > 0) {
      covers('an append of a session is a gap after one that was refused');
    } else if (code === 'UNKNOWN_SESSION' || code === 'SEQUENCE_GAP' || code === 'CONDITION_FAILED') {
      this.#isLost = true;
    } else {
      this.#elsewhere(connection);
      return;
    }
    this.#goOn(connection);
  }

  /** All that was sent is answered after a refusal: the session goes on, if nothing of what was refused may come yet. */
  #goOn(connection: Connection): void {
    if (this.#refused === 0 || this.#pending.size > 0 || this.#isLost) return;
    const after = this.#sent.filter(({ place }) => place.sequence > this.#refused);
    if (after.some(({ isUncertain }) => isUncertain)) {
      this.#isLost = true;
      return;
    }
    this.#sequence = this.#refused - 1;
    this.#refused = 0;
    for (const sent of after) {
      this.#number(sent);
      this.#send(connection, sent);
    }
  }

  #elsewhere(connection: Connection): void {
    this.#hint = connection.process.replica.raft.leader;
    this.disconnect();
  }
}
