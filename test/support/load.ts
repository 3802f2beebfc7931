// A client that appends until it is told to stop, and what it was told.

import type { LogClient } from '../../src/client/client.ts';

export class Load {
  /** What was acknowledged, by offset. */
  readonly acknowledged = new Map<number, string>();
  readonly failures: unknown[] = [];
  /** Up to where. */
  end = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  /** So many appends at once, each with a text of its own. */
  constructor(log: Pick<LogClient, 'append'>, atOnce: number) {
    this.#done = this.#run(log, atOnce);
  }

  async #run(log: Pick<LogClient, 'append'>, atOnce: number): Promise<void> {
    for (let i = 0; !this.#isOver; i += 1) {
      const texts = Array.from({ length: atOnce }, (_, at) => `${i}.${at} ${'x'.repeat((i * 37 + at) % 400)}`);
      // As fast as it can it would take the machine from the nodes.
      await new Promise((resolve) => setTimeout(resolve, 10));
      const receipts = await Promise.allSettled(texts.map((text) => log.append(text)));
      for (const [at, receipt] of receipts.entries()) {
        if (receipt.status === 'rejected') {
          this.failures.push(receipt.reason);
          continue;
        }
        this.acknowledged.set(receipt.value.offset, texts[at] ?? '');
        this.end = Math.max(this.end, receipt.value.end);
      }
    }
  }

  stop(): Promise<void> {
    this.#isOver = true;
    return this.#done;
  }
}
