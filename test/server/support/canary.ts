// A well-behaved client that runs beside badly behaved ones, and notices everything that it should not: an error, a lost connection, an
// acknowledged entry that is not where it was said to be, a gap or a repeat in its subscription.

import type { Receipt } from '../../../src/protocol/client.ts';
import { RawClient, type Subscription } from './rawClient.ts';

const IN_FLIGHT = 4;

function payloadOf(tag: string, number: number): Buffer {
  return Buffer.from(`${tag}/${number}/${'c'.repeat((number * 37) % 900)}`);
}

export class Canary {
  readonly #client: RawClient;
  readonly #subscription: Subscription;
  readonly #tag: string;
  readonly #receipts: Receipt[] = [];
  readonly #numbers: number[] = [];
  #checked = 0;
  #next = 0;
  #stopped = false;
  #seen = 0;
  readonly #latenciesMs: number[] = [];
  readonly #running: Promise<void>;

  static async start(url: string, tag: string): Promise<Canary> {
    return new Canary(await RawClient.connect(url), tag);
  }

  /** With a connection that is there. */
  static over(client: RawClient, tag: string): Canary {
    return new Canary(client, tag);
  }

  private constructor(client: RawClient, tag: string) {
    this.#client = client;
    this.#tag = tag;
    this.#subscription = client.subscribe(client.hello.commit, 1 << 22, true);
    this.#subscription.keep = false;
    const renew = this.#subscription.onData;
    this.#subscription.onData = (bytes, entries) => {
      renew?.(bytes, entries);
      for (const { payload } of entries) {
        if (payload.toString('latin1', 0, tag.length + 1) === `${tag}/`) this.#seen += 1;
      }
    };
    this.#running = this.#run();
    // Whoever checks learns of it; until then it is not unhandled.
    this.#running.catch(() => undefined);
  }

  /** Appends that were acknowledged so far. */
  get acknowledged(): number {
    return this.#receipts.length;
  }

  /** How long each append took, in milliseconds, since the last call. */
  takeLatencies(): number[] {
    return this.#latenciesMs.splice(0);
  }

  /** Reads back what was acknowledged since the last check. Throws when the canary noticed anything. */
  async check(): Promise<void> {
    if (this.#client.errors.length > 0) throw new Error(`the canary got ${JSON.stringify(this.#client.errors[0])}`);
    const first = this.#checked;
    this.#checked = this.#receipts.length;
    await this.#verify(this.#client, first, this.#checked);
  }

  /** Waits until `count` more appends are acknowledged. */
  async progress(count: number): Promise<void> {
    const goal = this.#receipts.length + count;
    while (this.#receipts.length < goal) {
      await Promise.race([this.#running, new Promise((resolve) => setTimeout(resolve, 2))]);
      if (this.#stopped) throw new Error('the canary has stopped');
    }
  }

  /** Stops, checks everything once more, and that the subscription gave each entry once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.check();
    await this.#subscription.until(this.#receipts.at(-1)?.end ?? 0);
    if (this.#seen !== this.#receipts.length) {
      throw new Error(`the canary's subscription gave ${this.#seen} entries; ${this.#receipts.length} were acknowledged`);
    }
    await this.#client.close();
  }

  /** Ends at once, whatever state it is in. */
  terminate(): void {
    this.#stopped = true;
    this.#client.terminate();
  }

  /** Reads everything that was ever acknowledged, through another connection, such as one to a restarted node. */
  async verifyAll(client: RawClient): Promise<void> {
    await this.#verify(client, 0, this.#receipts.length);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const numbers = Array.from({ length: IN_FLIGHT }, () => this.#next++);
      const receipts = await Promise.all(numbers.map((number) => this.#append(number)));
      this.#receipts.push(...receipts);
      this.#numbers.push(...numbers);
    }
  }

  async #append(number: number): Promise<Receipt> {
    const startedMs = performance.now();
    const receipt = await this.#client.append(payloadOf(this.#tag, number));
    this.#latenciesMs.push(performance.now() - startedMs);
    return receipt;
  }

  /** Reads the log from one receipt to another, and finds each acknowledged entry at its place. */
  async #verify(client: RawClient, first: number, until: number): Promise<void> {
    if (first >= until) return;
    let i = first;
    await client.readAll(this.#receipts[first]?.offset ?? 0, this.#receipts[until - 1]?.end ?? 0, ({ offset, end, payload }) => {
      const told = this.#receipts[i];
      if (i >= until || told === undefined || offset < told.offset) return;
      if (offset !== told.offset || end !== told.end || !payload.equals(payloadOf(this.#tag, this.#numbers[i] ?? -1))) {
        throw new Error(`the entry acknowledged at [${told.offset}, ${told.end}) is not there, but one at [${offset}, ${end})`);
      }
      i += 1;
    });
    if (i < until) throw new Error(`${until - i} acknowledged entries are not in the log`);
  }
}
