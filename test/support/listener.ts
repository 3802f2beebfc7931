// A listener in the test's own process: what it is told where the test does not care.

import type { Listener } from '../../src/server/listener.ts';
import { NO_ACCOUNTS, OPEN_ACCESS } from './access.ts';
import { rethrow, TEST_LOOP } from './loop.ts';

const nothing = (): void => undefined;

type Parameters = ConstructorParameters<typeof Listener>;

export const LISTENER_OPTIONS: Parameters[0] = {
  host: '127.0.0.1',
  port: 0,
  access: OPEN_ACCESS,
  accounts: NO_ACCOUNTS,
  portOption: '--port',
  places: { maxConnections: 100, maxSockets: 100, maxDescriptors: 100 },
  maxMessageBytes: 1 << 20,
  budget: { requests: 1000, bytes: 1 << 22 },
  backlogBytes: () => 0,
  origins: { isAllowed: () => true },
  loop: TEST_LOOP,
};

/** Sessions whose messages nobody looks at. */
export const NO_SESSIONS: Parameters[1] = {
  came: nothing,
  opened: nothing,
  message: nothing,
  drained: nothing,
  closed: nothing,
  warn: nothing,
  broke: rethrow,
};
