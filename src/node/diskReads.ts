// What is read of the log for whoever is no reading: copies for downloads and repeated appends, places of trims, times. Damage is healed first where it can be, and said once.

import { LogError } from '../core/errors.ts';
import type { TrimEntry } from '../format/controlEntries.ts';
import type { HotReader } from '../memory/hotReader.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import { isDamage } from '../storage/examiner.ts';
import type { ColdRange } from '../storage/segmentReader.ts';
import type { ColdReads, EntriesCopy, Wanted } from './coldReads.ts';
import type { Segments } from './segments.ts';

export function trimmedSentence(offset: number, start: number): string {
  return `offset ${offset} was trimmed; the log starts at ${start}`;
}

export interface DiskReadPorts {
  readonly memory: TailMemory;
  readonly hot: HotReader;
  readonly segments: Pick<Segments, 'find'>;
  readonly tasks: Pick<DiskTasks, 'findBatch' | 'findTime'>;
  /** Has the sealed segment healed that holds log offset `offset`, if it can be. Resolves before long to whether it is to be read again. */
  heal(offset: number): Promise<boolean>;
  reportDamage(error: LogError): void;
}

export class DiskReads {
  readonly #ports: DiskReadPorts;
  readonly #memory: TailMemory;
  readonly #hot: HotReader;
  readonly #cold: Pick<ColdReads, 'readCopy' | 'withBuffer'>;
  #lastReported = '';

  /** `cold`: with the buffers that readings have, too, in turns. */
  constructor(ports: DiskReadPorts, cold: Pick<ColdReads, 'readCopy' | 'withBuffer'>) {
    this.#ports = ports;
    this.#memory = ports.memory;
    this.#hot = ports.hot;
    this.#cold = cold;
  }

  /** As {@link ColdReads.readCopy}, for whoever is no caller: for `party`, or for the log itself. What cannot be read is reported, unless `isOver`: nobody wants it any more. */
  async readCopy(range: ColdRange, wanted: Wanted, isOver: () => boolean, party: object = this): Promise<EntriesCopy> {
    try {
      return await this.#healing(range.from, isOver, () => this.#cold.readCopy(range, wanted, party));
    } catch (thrown) {
      const start = this.#memory.word(WORD.START);
      if (range.base < this.#memory.word(WORD.BASE)) throw new LogError('OFFSET_TRIMMED', trimmedSentence(range.from, start), { start });
      if (thrown instanceof LogError && thrown.code !== 'OFFSET_NOT_BOUNDARY' && !isOver()) this.report(thrown);
      throw thrown;
    }
  }

  /**
   * Where a trim to `offset`, which is past the start and not past the commit, begins the log; undefined: it begins there or later already. Rejects with a
   * LogError `DAMAGED`, which is reported, or others of the disk.
   */
  async batchBefore(offset: number): Promise<TrimEntry | undefined> {
    const slot = this.#hot.pin(offset - 1);
    if (slot >= 0) {
      const found = this.#hot.batchBefore(slot, offset);
      this.#hot.release(slot);
      return found;
    }
    const segment = this.#ports.segments.find(offset - 1);
    try {
      if (segment === undefined) throw new LogError('DAMAGE', `no segment holds log offset ${offset - 1}`);
      const find = (): Promise<TrimEntry> =>
        this.#cold.withBuffer((buffer) => this.#ports.tasks.findBatch({ base: segment.base, offset, buffer }));
      return await this.#healing(offset - 1, () => false, find);
    } catch (thrown) {
      // Trimmed meanwhile: its file may be gone.
      if (offset <= this.#memory.word(WORD.START)) return undefined;
      if (!(thrown instanceof LogError)) throw thrown;
      this.report(thrown);
      throw thrown.code === 'DAMAGE' ? new LogError('DAMAGED', `the log is damaged on this node's disk before offset ${offset}`) : thrown;
    }
  }

  /** The log's time before `offset`, which the sealed segment at `base` holds or ends at; 0 where it cannot be read, which is reported. */
  async timeBefore(base: number, offset: number): Promise<number> {
    try {
      const find = (): Promise<number> => this.#cold.withBuffer((buffer) => this.#ports.tasks.findTime({ base, offset, buffer }));
      return await this.#healing(base, () => false, find);
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      // Trimmed meanwhile: its file may be gone.
      if (base >= this.#memory.word(WORD.BASE)) this.report(thrown);
      return 0;
    }
  }

  /** Says in the log what cannot be read, once. */
  report(error: LogError): void {
    if (error.message !== this.#lastReported) this.#ports.reportDamage(error);
    this.#lastReported = error.message;
  }

  /** What `read` resolves to; where it meets damage at `offset`, it is tried again once that is healed. */
  async #healing<T>(offset: number, isOver: () => boolean, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (thrown) {
      if (!isDamage(thrown) || isOver() || !(await this.#ports.heal(offset)) || isOver()) throw thrown;
      return read();
    }
  }
}
