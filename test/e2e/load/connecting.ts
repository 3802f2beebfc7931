// Connections that speak the protocol to one node, for as long as that node lives.

import { Closed, RawClient } from '../../server/support/rawClient.ts';

const CONNECT_TIMEOUT_MS = 2_000;

/** Connects, or rejects after a time: a node that stands still takes connections, and says nothing. */
export async function connectTo(url: string): Promise<RawClient> {
  const connecting = RawClient.connect(url, { handshakeTimeout: CONNECT_TIMEOUT_MS });
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Closed(1006, 'no greeting came')), CONNECT_TIMEOUT_MS * 2);
  });
  connecting.then(
    (client) => {
      if (timer === undefined) client.socket.terminate();
    },
    () => undefined,
  );
  try {
    return await Promise.race([connecting, tooLate]);
  } finally {
    clearTimeout(timer);
    timer = undefined;
  }
}

/** Whether a connection could not be made because of what is done to nodes and links. */
export function isNetworkError(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    ('code' in thrown || /handshake|socket hang up|closed before|Unexpected server response/i.test(thrown.message))
  );
}
