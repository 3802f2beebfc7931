// A command's connection to the log: opened before the work, closed after it however it ended.

import type { ClientEvent, ConnectOptions, LogClient } from '../client/index.ts';
import { say } from './output.ts';
import { tlsSource } from './tlsTrust.ts';
import { tokenSource } from './token.ts';

/** An election takes no longer as a rule: nobody needs to hear of it. */
const QUIET_MS = 1_000;

/** Tells on stderr that the command waits for a node, once for each time that it has to for long, and that it goes on. */
class WaitingNotice {
  readonly #timeoutMs: number;
  /** Since when it waits, of `performance.now()`; undefined: it does not. */
  #sinceMs: number | undefined;
  #isSaid = false;
  #wants: 'leader' | 'reader' = 'reader';

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  tell(event: ClientEvent): void {
    if (event.type === 'waiting') {
      this.#sinceMs ??= performance.now();
      this.#wants = event.wants;
      if (this.#isSaid || performance.now() - this.#sinceMs < QUIET_MS) return;
      this.#isSaid = true;
      const seconds = this.#timeoutMs / 1000;
      const time = seconds >= 3600 ? 'until there is one' : `for up to ${seconds} s`;
      say(`loglog: waiting ${time}: ${event.error.message}`);
    } else if (event.type === (this.#wants === 'leader' ? 'leader' : 'connected')) {
      if (this.#isSaid) say(`loglog: node ${event.nodeId} at ${event.url} ${event.type === 'leader' ? 'leads' : 'answers'}`);
      this.#sinceMs = undefined;
      this.#isSaid = false;
    }
  }
}

/** Runs `work` with a client of the node at `urls`, which is waited for, at first and when it is lost, for `timeoutMs`. */
export async function withClient<T>(
  urls: readonly string[],
  timeoutMs: number,
  work: (log: LogClient) => Promise<T>,
  options: ConnectOptions = {},
): Promise<T> {
  // A node that is started has no use for the client.
  const { connect } = await import('../client/index.ts');
  const notice = new WaitingNotice(timeoutMs);
  const log = await connect(urls, {
    reconnect: { timeoutMs },
    onEvent: (event) => notice.tell(event),
    token: tokenSource(),
    tls: tlsSource(),
    ...options,
  });
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}
