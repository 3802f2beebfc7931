// The disk tasks of one simulated node: the real segment tasks, truncation, allocation and reads, with time between the steps of a segment's
// task. Between a write and the end of its sync anything else may happen, on this node and on others; several segments are closed, sealed
// and made at the same time.

import { LogError } from '../../src/core/errors.ts';
import type { TrimEntry } from '../../src/format/controlEntries.ts';
import { WORD } from '../../src/memory/map.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import type { StorageContext } from '../../src/storage/context.ts';
import { readFile } from '../../src/storage/disk.ts';
import type { DiskTasks as Port } from '../../src/storage/diskTasks.ts';
import { type Examined, type ExamineRequest, Examiner } from '../../src/storage/examiner.ts';
import { type HealAnswer, type HealRequest, heal } from '../../src/storage/healer.ts';
import { LoneWriter } from '../../src/storage/loneWriter.ts';
import { mend } from '../../src/storage/mender.ts';
import { TOKEN_REQUEST_FILE } from '../../src/storage/names.ts';
import { emptyLog, removeSegments } from '../../src/storage/removal.ts';
import { readScrub, saveScrub } from '../../src/storage/scrubFile.ts';
import { addSeals, readSeals, type SealRows } from '../../src/storage/sealsFile.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { type SegmentOutcome, SegmentTask } from '../../src/storage/segmentTask.ts';
import { decodeTokenRequest, removeTokenRequest, type TokenRequest } from '../../src/storage/tokenRequest.ts';
import { type Truncation, truncateLog } from '../../src/storage/truncation.ts';
import type { Tasks } from '../../src/threads/messages.ts';
import { isSimulated } from './simDisk.ts';
import { Violation } from './violation.ts';

/** Segments are small here, and go in pieces none the less. */
const REMOVE_PIECE_BYTES = 16 * 1024;

/** What the tasks need from their node's process. */
export interface TaskPorts {
  /** Runs `act` on a disk thread in `delayMs`, unless the process is dead by then. */
  later(delayMs: number, label: string, act: () => void): void;
  /** Runs `act`, which settles a promise, on the main thread soon. */
  answer(label: string, act: () => void): void;
  /** How long the next disk operation takes. */
  diskMs(): number;
  /** The log is about to be cut at `offset`. */
  truncating(offset: number): void;
  /** The log is about to be dropped, and to begin at `base`. */
  emptying(base: number): void;
  /** What the system says is free on the disk. */
  freeBytes(): number;
  /** What the process takes for what it has found in a segment. */
  examined(request: ExamineRequest, found: Examined): Examined;
  /** A step of a healing is carried out by `act`. */
  heals(request: HealRequest, act: () => HealAnswer): HealAnswer;
  /** The main thread has made durable what was ordered, and goes on. */
  written(): void;
  /** Whether the disk was made to lose what it has at this offset of the log. */
  isDamaged(offset: number): boolean;
  /** A segment's writer is started, which is to make its file. */
  opened(): void;
  /** Whether segments are made in files of zeros of their full size. */
  readonly areAllocated: boolean;
}

/** Settles the promise of a task. */
interface Answer<T> {
  resolve(value: T): void;
  reject(error: LogError): void;
}

interface Running {
  readonly task: SegmentTask;
  readonly answer: Answer<SegmentOutcome>;
  /** It waits for its word, or for time to pass. */
  isWaiting: boolean;
  /** How often it has waited: a time that was meant for an earlier wait does not end a later one. */
  waits: number;
}

/** One for all: an error of its own would cost its stack each time. */
const NO_ROOM = new LogError('IO', 'a simulated disk has no room for spare files', { errno: 'ENOSPC' });

export class DiskTasks implements Port {
  readonly #context: StorageContext;
  readonly #ports: TaskPorts;
  readonly #reader: SegmentReader;
  readonly #examiner: Examiner;
  readonly #loneWriter: LoneWriter;
  readonly #writing = new Set<Running>();
  /** A read has failed because the disk was told to fail it. */
  hasReadError = false;

  constructor(context: StorageContext, ports: TaskPorts) {
    this.#context = context;
    this.#ports = ports;
    this.#reader = new SegmentReader(context.disk, context.directory, context.memory);
    this.#examiner = new Examiner(context);
    this.#loneWriter = new LoneWriter(context);
  }

  write({ slot, spare }: Tasks['write']['request']): Promise<SegmentOutcome> {
    if (spare !== undefined) this.#ports.opened();
    return this.#task((answer) => {
      const running = { task: new SegmentTask(this.#context, slot, spare), answer, isWaiting: false, waits: 0 };
      this.#writing.add(running);
      this.#ports.later(this.#ports.diskMs() / 4, 'writer', () => this.#step(running, false));
    });
  }

  writeAtOnce(): boolean {
    const isWritten = this.#loneWriter.write();
    if (isWritten) this.#ports.written();
    return isWritten;
  }

  /** A word changed that writers wait on. */
  wake(): void {
    const { memory } = this.#context;
    for (const running of [...this.#writing]) {
      if (running.isWaiting && memory.signal(running.task.signal) !== running.task.seen) this.#step(running, false);
    }
  }

  allocate({ name, bytes }: Tasks['allocate']['request']): Promise<true> {
    return this.#run('allocate', () => {
      const { disk, directory } = this.#context;
      // Without room for files of zeros the log goes on.
      if (!this.#ports.areAllocated) throw NO_ROOM;
      allocateFile(disk, directory, name, bytes);
      return true;
    });
  }

  truncate({ offset }: Tasks['truncate']['request']): Promise<Truncation> {
    return this.#run('cut', () => {
      this.#ports.truncating(offset);
      return truncateLog(this.#context, offset);
    });
  }

  remove(request: Tasks['remove']['request']): Promise<Tasks['remove']['response']> {
    return this.#run('remove', () => removeSegments(this.#context, { ...request, pieceBytes: REMOVE_PIECE_BYTES }));
  }

  empty({ base }: Tasks['empty']['request']): Promise<true> {
    return this.#run('empty', () => {
      this.#ports.emptying(base);
      emptyLog(this.#context, base);
      return true;
    });
  }

  freeBytes(): Promise<number> {
    return this.#run('free bytes', () => this.#ports.freeBytes());
  }

  findBatch({ base, offset, buffer }: Tasks['findBatch']['request']): Promise<TrimEntry> {
    return this.#run('find batch', () => this.#reader.batchBefore(base, offset, buffer));
  }

  examine(request: Tasks['examine']['request']): Promise<Tasks['examine']['response']> {
    return this.#run('examine', () => this.#ports.examined(request, this.#examiner.examine(request)));
  }

  /** The threads end, and with them what they had open. */
  close(): void {
    this.#examiner.close();
  }

  heal(request: Tasks['heal']['request']): Promise<Tasks['heal']['response']> {
    return this.#run('heal', () => this.#ports.heals(request, () => heal(this.#context, request)));
  }

  mend(request: Tasks['mend']['request']): Promise<Tasks['mend']['response']> {
    return this.#run('mend', () => mend(this.#context, request));
  }

  readScrub(): Promise<Tasks['readScrub']['response']> {
    return this.#run('read scrub', () => readScrub(this.#context) ?? null).then((found) => found ?? undefined);
  }

  saveScrub({ position }: Tasks['saveScrub']['request']): Promise<true> {
    return this.#run('save scrub', () => {
      saveScrub(this.#context, position);
      return true;
    });
  }

  readTokenRequest(): Promise<TokenRequest | undefined> {
    return this.#run('read token request', () => this.#tokenRequest() ?? null).then((found) => found ?? undefined);
  }

  removeTokenRequest({ id }: Tasks['removeTokenRequest']['request']): Promise<true> {
    return this.#run('remove token request', () => {
      removeTokenRequest(this.#context.disk, this.#context.directory, id, this.#tokenRequest());
      return true;
    });
  }

  #tokenRequest(): TokenRequest | undefined {
    const { disk, directory } = this.#context;
    const path = `${directory}/${TOKEN_REQUEST_FILE}`;
    return disk.has(path) ? decodeTokenRequest(readFile(disk, path), path) : undefined;
  }

  readSeals(): Promise<SealRows> {
    return this.#run('read seals', () => readSeals(this.#context.disk, this.#context.directory));
  }

  addSeals({ rows, at }: Tasks['addSeals']['request']): Promise<number> {
    return this.#run('add seals', () => addSeals(this.#context.disk, this.#context.directory, rows, at));
  }

  findTime({ base, offset, buffer }: Tasks['findTime']['request']): Promise<number> {
    return this.#run('find time', () => this.#readable(base, () => this.#reader.timeBefore(base, offset, buffer)));
  }

  readCold({ range, buffer }: Tasks['readCold']['request']): Promise<number> {
    return this.#run('cold read', () => this.#readable(range.from, () => this.#reader.read(range, buffer)));
  }

  /** What is committed at `from`, and not trimmed, can be read, unless the disk fails. */
  #readable<T>(from: number, read: () => T): T {
    try {
      return read();
    } catch (thrown) {
      if (isSimulated(thrown) || this.#ports.isDamaged(from)) this.hasReadError = true;
      else if (thrown instanceof LogError && from >= this.#context.memory.word(WORD.START))
        throw new Violation('visibility', `what is committed at ${from} cannot be read: ${thrown.message}`);
      throw thrown;
    }
  }

  #task<T>(begin: (answer: Answer<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      begin({
        resolve: (value) => this.#ports.answer('task done', () => resolve(value)),
        reject: (error) => this.#ports.answer('task failed', () => reject(error)),
      });
    });
  }

  #run<T>(label: string, act: () => T): Promise<T> {
    return this.#task((answer) => {
      this.#ports.later(this.#ports.diskMs(), label, () => {
        const value = carefully(act, answer);
        if (value !== undefined) answer.resolve(value);
      });
    });
  }

  /** One step of the task, and the next one when the disk has had its time, or what it waits for has come. */
  #step(running: Running, timedOut: boolean): void {
    const { task, answer } = running;
    running.isWaiting = false;
    switch (carefully(() => task.step(timedOut), answer)) {
      case 'disk':
        this.#ports.later(this.#ports.diskMs(), 'disk', () => this.#step(running, false));
        break;
      case 'wait':
        this.#wait(running);
        break;
      case 'done':
        this.#writing.delete(running);
        if (task.outcome !== undefined) answer.resolve(task.outcome);
        break;
      case undefined:
        this.#writing.delete(running);
        break;
    }
  }

  #wait(running: Running): void {
    const { signal, seen, timeoutMs } = running.task;
    running.isWaiting = true;
    running.waits += 1;
    const wait = running.waits;
    const isSame = (): boolean => running.isWaiting && running.waits === wait;
    if (this.#context.memory.signal(signal) !== seen) {
      this.#ports.later(0, 'has changed', () => {
        if (isSame()) this.#step(running, false);
      });
    } else if (timeoutMs !== undefined) {
      this.#ports.later(timeoutMs, 'quiet', () => {
        if (isSame()) this.#step(running, true);
      });
    }
  }
}

/** Does `act` as a task does: a LogError is its answer, everything else is none of its own. Undefined: it failed. */
function carefully<T>(act: () => T, answer: Pick<Answer<never>, 'reject'>): T | undefined {
  try {
    return act();
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
    answer.reject(thrown);
    return undefined;
  }
}
