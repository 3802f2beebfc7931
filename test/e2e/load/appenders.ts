// Clients that append, through the library as an application would: pipelined, in batches, on conditions, and without waiting for the commit.

import type { LogClient, Receipt } from '../../../src/client/index.ts';
import { LogError } from '../../../src/core/errors.ts';
import { MIN_UPLOAD_BYTES } from '../../../src/core/uploadLimits.ts';
import type { AppendResult } from '../../../src/history/types.ts';
import { MIN_PAYLOAD_BYTES, makePayload } from '../payload.ts';
import type { LoadContext } from './context.ts';

export type AppendStyle = 'single' | 'batch' | 'conditional' | 'received' | 'writer';

const MAX_BATCH_ENTRIES = 8;
/** Longest chain of a writer, whose appends are all in flight at once. */
const MAX_CHAIN = 12;
const LARGE_PAYLOAD_BYTES = 20_000;
const SMALL_PAYLOAD_BYTES = 250;
/** Payloads of clients that upload, above the least: {@link MAX_BATCH_ENTRIES} of them must fit the largest batch, which is 192,400 bytes with small segments. */
const UPLOADED_PAYLOAD_BYTES = 7 * 1024;
/** After a failure, so that a cluster without a leader is not stormed. */
const FAILURE_PAUSE_MS = 30;

/** A conditional append whose answer was lost may be found by reading the log, which does not say who had it. */
function resultOf({ offset, end, term, nodes }: Receipt, isConditional: boolean): AppendResult {
  return { kind: 'ok', offset, end, term, nodes: isConditional && nodes.length === 0 ? undefined : nodes };
}

/** One client; `laneCount` appends of it are in flight at once. */
export class Appender {
  readonly id: number;
  readonly style: AppendStyle;
  readonly #client: LogClient;
  readonly #context: LoadContext;
  readonly #session: string | undefined;
  readonly #uploads: boolean;
  #isStopping = false;
  #pendingCount = 0;
  /** Where the log is thought to end: for conditions. */
  #end = 0;

  /** `session`: what else this client is told must count what it appended. `uploads`: its payloads are large enough to be uploaded. */
  constructor(id: number, style: AppendStyle, client: LogClient, context: LoadContext, session: string, uploads: boolean) {
    this.id = id;
    this.style = style;
    this.#client = client;
    this.#context = context;
    this.#session = session;
    this.#uploads = uploads;
  }

  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** Appends until {@link stop}, then resolves when all appends are settled. */
  async run(laneCount: number): Promise<void> {
    await Promise.all(Array.from({ length: laneCount }, () => this.#lane()));
  }

  stop(): void {
    this.#isStopping = true;
  }

  async #lane(): Promise<void> {
    const { random, thinkMs } = this.#context;
    while (!this.#isStopping) {
      const succeeded = this.style === 'writer' ? await this.#appendChain() : await this.#append();
      await this.#context.pause(succeeded ? random.below(thinkMs) : FAILURE_PAUSE_MS);
    }
  }

  /** Appends once, records it, and says whether it was acknowledged, or failed for a condition that did not hold. */
  async #append(): Promise<boolean> {
    const context = this.#context;
    const { random } = context;
    const count = this.style === 'batch' ? 1 + random.below(MAX_BATCH_ENTRIES) : 1;
    const ids = Array.from({ length: count }, () => context.newId());
    const payloads = ids.map((id) => makePayload(id, this.#payloadBytes()));
    const level = this.style === 'received' ? 'received' : 'committed';
    const expectedEnd = this.style === 'conditional' ? this.#end : undefined;
    const complete = context.recorder.append({ client: this.id, ids, level, expectedEnd, session: this.#session });
    this.#pendingCount += 1;
    try {
      const options = { ack: level, ...(expectedEnd === undefined ? {} : { expectedEnd }) } as const;
      const [first = new Uint8Array(0)] = payloads;
      const receipt = count === 1 ? await this.#client.append(first, options) : await this.#client.appendBatch(payloads, options);
      complete(resultOf(receipt, expectedEnd !== undefined));
      this.#end = receipt.end;
      if (level === 'committed') context.committed(receipt.term, receipt.end, count);
      return true;
    } catch (thrown) {
      complete(context.failed(`an append of client ${this.id}`, thrown));
      return await this.#learnEnd(thrown);
    } finally {
      this.#pendingCount -= 1;
    }
  }

  /** Appends a chain at once, with a writer of its own, and says whether there was an answer that a whole cluster gives. */
  async #appendChain(): Promise<boolean> {
    const context = this.#context;
    const { random, recorder } = context;
    const writer = this.#client.writer({ expectedEnd: this.#end });
    const chainId = context.newChainId();
    const links = Array.from({ length: 1 + random.below(MAX_CHAIN) }, async (_, index) => {
      const id = context.newId();
      const payload = makePayload(id, this.#payloadBytes(false));
      const expectedEnd = index === 0 ? this.#end : undefined;
      const chain = { id: chainId, number: index + 1, isResumed: true };
      const complete = recorder.append({ client: this.id, ids: [id], level: 'committed', expectedEnd, chain, session: this.#session });
      this.#pendingCount += 1;
      try {
        // Those of one tick share a link; a batch has one of its own.
        const receipt = await (random.oneIn(3) ? writer.append(payload) : writer.appendBatch([payload]));
        complete(resultOf(receipt, true));
        context.committed(receipt.term, receipt.end, 1);
        return undefined;
      } catch (thrown) {
        complete(context.failed(`a link of client ${this.id}`, thrown));
        return thrown;
      } finally {
        this.#pendingCount -= 1;
      }
    });
    const thrown = (await Promise.all(links)).find((each) => each !== undefined);
    this.#end = writer.end;
    return thrown === undefined || this.#learnEnd(thrown);
  }

  #payloadBytes(mayBeLarge = true): number {
    const { random } = this.#context;
    if (this.#uploads) return MIN_UPLOAD_BYTES + random.below(UPLOADED_PAYLOAD_BYTES);
    return MIN_PAYLOAD_BYTES + random.below(mayBeLarge && random.oneIn(24) ? LARGE_PAYLOAD_BYTES : SMALL_PAYLOAD_BYTES);
  }

  /** After a failure: where the log ends, if the failure said so. */
  async #learnEnd(thrown: unknown): Promise<boolean> {
    if (this.style !== 'conditional' && this.style !== 'writer') return false;
    // Not committed, perhaps, and so no end to build on: but callers do, and it must not make anything untrue.
    if (thrown instanceof LogError && thrown.code === 'CONDITION_FAILED' && typeof thrown.details.end === 'number') {
      this.#end = thrown.details.end;
      return true;
    }
    try {
      this.#end = (await this.#client.end({ linearizable: true })).end;
    } catch (failure) {
      this.#context.failed(`the question of client ${this.id} for the end`, failure);
    }
    return false;
  }
}
