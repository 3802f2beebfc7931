// A command's connection to the log: opened before the work, closed after it however it ended.

import type { ConnectOptions, LogClient } from '../client/index.ts';

/** After this long without a node a command gives up; a person or a script is waiting for it. */
const RECONNECT_TIMEOUT_MS = 10_000;

/** Runs `work` with a client of the node at `urls`. */
export async function withClient<T>(
  urls: readonly string[],
  work: (log: LogClient) => Promise<T>,
  options: ConnectOptions = {},
): Promise<T> {
  // A node that is started has no use for the client.
  const { connect } = await import('../client/index.ts');
  const log = await connect(urls, { reconnect: { timeoutMs: RECONNECT_TIMEOUT_MS }, ...options });
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}
