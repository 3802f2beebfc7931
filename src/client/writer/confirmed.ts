// Up to where a writer's appends are certainly committed, and what was only received after that.

import { type CommittedQuestion, Places } from '../append/committedEnd.ts';
import type { BatchReceipt } from '../options.ts';
import type { ChainEnd } from './chainErrors.ts';
import type { WriterPort } from './writerPort.ts';

export class Confirmed {
  /** The last position that is certainly committed. */
  #offset: number;
  /** What was received after it. */
  #places = new Places();

  constructor(offset: number) {
    this.#offset = offset;
  }

  /** The next append is acknowledged. */
  settled({ level, offset, end }: BatchReceipt): void {
    if (level === 'received') {
      // Whatever is committed elsewhere by now may be another log than its leader's.
      this.#places.add(offset);
    } else {
      this.#offset = end;
      this.#places = new Places();
    }
  }

  /** Asks the log up to where it is; what is certainly committed, when the log does not tell. Never rejects. */
  async find(port: Pick<WriterPort, 'findCommittedEnd'>, question: Omit<CommittedQuestion, 'from' | 'places'>): Promise<ChainEnd> {
    try {
      return { offset: await port.findCommittedEnd({ ...question, from: this.#offset, places: this.#places }), isExact: true };
    } catch {
      return { offset: this.#offset, isExact: false };
    }
  }
}
