// Records a history while it happens. Its clock makes every moment distinct, so that "before" and "after" are never a draw.

import type { AppendRecord, AppendResult, DeliveryRecord, EndRecord, History, LogEntry, PositionRecord, ReadRecord } from './types.ts';

/** Smallest step of the clock, far below what any clock of a test tells apart. */
const TICK = 1e-6;

const PENDING: AppendResult = { kind: 'unknown', why: 'still pending when the history ended' };

/** What the caller says of an append that begins. */
export type AppendCall = Pick<AppendRecord, 'client' | 'ids' | 'level'> & {
  readonly expectedEnd?: number | undefined;
  readonly chain?: AppendRecord['chain'];
  readonly session?: string | undefined;
  readonly producer?: AppendRecord['producer'];
};

class RecordedAppend implements AppendRecord {
  readonly client: number;
  readonly ids: readonly number[];
  readonly level: 'received' | 'committed';
  readonly expectedEnd: number | undefined;
  readonly chain: AppendRecord['chain'];
  readonly session: string | undefined;
  readonly producer: AppendRecord['producer'];
  readonly invoked: number;
  completed = Number.POSITIVE_INFINITY;
  result: AppendResult = PENDING;

  constructor(call: AppendCall, invoked: number) {
    this.client = call.client;
    this.ids = call.ids;
    this.level = call.level;
    this.expectedEnd = call.expectedEnd;
    this.chain = call.chain;
    this.session = call.session;
    this.producer = call.producer;
    this.invoked = invoked;
  }
}

/** Ends a recorded append; to be called once. */
export type Complete = (result: AppendResult) => void;

export class HistoryRecorder implements History {
  readonly appends: AppendRecord[] = [];
  readonly ends: EndRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly deliveries: DeliveryRecord[] = [];
  readonly positions: PositionRecord[] = [];
  readonly #clock: () => number;
  readonly #entries = new Map<number, LogEntry>();
  #last = Number.NEGATIVE_INFINITY;

  /** `clock`: any clock, such as a simulated one, or `performance.now`. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The present moment: later than every one before. */
  now(): number {
    this.#last = Math.max(this.#clock(), this.#last + TICK);
    return this.#last;
  }

  /** An append begins now. It counts as pending, and so as unknown, until the returned function is called. */
  append(call: AppendCall): Complete {
    const record = new RecordedAppend(call, this.now());
    this.appends.push(record);
    return (result) => {
      record.completed = this.now();
      record.result = result;
    };
  }

  /** Something begins that somebody does with the name of a consumer: pending until the returned function is called, once. Of a claim that says where it goes on. */
  position(call: Omit<PositionRecord, 'invoked' | 'completed' | 'result'>): (result: PositionRecord['result'], position?: number) => void {
    const begun: PositionRecord = { ...call, invoked: this.now(), completed: Number.POSITIVE_INFINITY, result: 'unknown' };
    const index = this.positions.push(begun) - 1;
    return (result, position = call.position) => {
      this.positions[index] = { ...begun, position, completed: this.now(), result };
    };
  }

  end(end: Omit<EndRecord, 'completed'>): void {
    this.ends.push({ ...end, completed: this.now() });
  }

  read(read: Omit<ReadRecord, 'completed'>): void {
    this.reads.push({ ...read, completed: this.now() });
  }

  delivery(delivery: Omit<DeliveryRecord, 'completed'>): void {
    this.deliveries.push({ ...delivery, completed: this.now() });
  }

  /** An entry as a reader saw it. Equal ones are one object, so that a history with many readers stays small. */
  entry(offset: number, end: number, term: number, id: number): LogEntry {
    const known = this.#entries.get(offset);
    if (known !== undefined && known.end === end && known.term === term && known.id === id) return known;
    const entry = { offset, end, term, id };
    this.#entries.set(offset, entry);
    return entry;
  }
}
