// What a log of level 1 says of itself when nothing has happened to it.

import { NO_TERM } from '../../src/core/ids.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM } from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import type { LogState } from '../../src/format/stateEntry.ts';

export const NEW_STATE: LogState = {
  dataEnd: 0,
  before: NO_TERM,
  trim: NO_TRIM,
  timeMs: 1_600_000_000_000,
  level: 1,
  generation: { number: 1, id: 'aaaaaaaaaaaaaaaa' },
  seal: NO_SEAL,
  policy: NO_POLICY,
  access: NO_ACCESS,
  consumers: NO_CONSUMERS,
  nodes: NO_MEMBERS,
  sessions: NO_SESSIONS,
};
