// Entries of the log from some place on, and the newest ones as they come.

import type { LogClient } from '../client/browser.ts';
import type { Entry } from '../client/read/entries.ts';
import { beginningOf, MAX_ROWS } from './beginning.ts';
import { byId, row, say } from './dom.ts';
import { MAX_SHOWN_BYTES, type PayloadView, payloadText, timeText } from './texts.ts';

/** As often as an eye can follow; each time all rows are made anew. */
const DRAW_MS = 200;

export class Entries {
  readonly #client: () => Promise<LogClient>;
  readonly #table = byId('entries', HTMLTableElement);
  readonly #fault = byId('find-fault', HTMLOutputElement);
  readonly #view = byId('as', HTMLSelectElement);
  readonly #tailButton = byId('tail', HTMLButtonElement);
  readonly #from = byId('from', HTMLInputElement);
  #over = new AbortController();
  /** The entries shown, or to be shown next, the oldest first; of payloads their beginnings. */
  #kept: { readonly entry: Entry; readonly bytes: number }[] = [];
  #isDrawn = true;
  #isTail = false;

  constructor(client: () => Promise<LogClient>) {
    this.#client = client;
    byId('find', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#read();
    });
    byId('next', HTMLButtonElement).addEventListener('click', () => {
      const last = this.#kept.at(-1);
      // Nothing: what was typed is the place, at which there was nothing yet.
      if (last !== undefined) this.#from.value = String(last.entry.nextOffset);
      void this.#read();
    });
    this.#tailButton.addEventListener('click', () => (this.#isTail ? this.#stop() : void this.#tail()));
    this.#view.addEventListener('change', () => this.#draw());
  }

  #stop(): AbortSignal {
    this.#over.abort();
    this.#over = new AbortController();
    this.#isTail = false;
    this.#tailButton.setAttribute('aria-pressed', 'false');
    return this.#over.signal;
  }

  #begin(): AbortSignal {
    const signal = this.#stop();
    this.#kept = [];
    say(this.#fault, '');
    this.#draw();
    return signal;
  }

  async #read(): Promise<void> {
    const signal = this.#begin();
    const beginning = beginningOf(this.#from.value, Date.now());
    if (typeof beginning === 'string') return say(this.#fault, beginning, true);
    await this.#careful(signal, async (client) => {
      const limit = beginning.last === undefined ? { limit: MAX_ROWS } : {};
      for await (const entry of client.read({ ...beginning, ...limit, signal })) this.#keep(entry);
      if (this.#kept.length === 0) say(this.#fault, 'there are no entries from there on');
    });
  }

  async #tail(): Promise<void> {
    const signal = this.#begin();
    this.#isTail = true;
    this.#tailButton.setAttribute('aria-pressed', 'true');
    await this.#careful(signal, async (client) => {
      for await (const entry of client.subscribe({ last: 20, onTrimmed: 'skip', signal })) this.#keep(entry);
    });
    if (!signal.aborted) this.#stop();
  }

  async #careful(signal: AbortSignal, work: (client: LogClient) => Promise<void>): Promise<void> {
    try {
      await work(await this.#client());
    } catch (thrown) {
      if (!signal.aborted) say(this.#fault, thrown instanceof Error ? thrown.message : String(thrown), true);
    }
  }

  #keep(entry: Entry): void {
    this.#kept.push({ entry: { ...entry, payload: entry.payload.slice(0, MAX_SHOWN_BYTES) }, bytes: entry.payload.length });
    if (this.#kept.length > MAX_ROWS) this.#kept.shift();
    this.#draw();
  }

  /** Once for all that comes in a while: however fast entries come, no more is drawn. */
  #draw(): void {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    setTimeout(() => {
      this.#isDrawn = true;
      const view = this.#view.value as PayloadView;
      const shown = this.#isTail ? this.#kept.toReversed() : this.#kept;
      const rows = shown.map(({ entry: { offset, timeMs, payload }, bytes }) =>
        row([String(offset), timeText(timeMs), payloadText(payload, view, bytes)]),
      );
      this.#table.replaceChildren(row(['Offset', 'Time', 'Payload'], 'th'), ...rows);
    }, DRAW_MS);
  }
}
