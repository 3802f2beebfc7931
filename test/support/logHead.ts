// What a new log begins with, before the first entry of a client.

import { ENTRY_OVERHEAD_BYTES, NO_OP_BYTES } from '../../assembly/layout.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM, stateBytes } from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';

/** The state entry at the head of a segment, while the log was never trimmed and has no policy. */
export const STATE_ENTRY_BYTES =
  ENTRY_OVERHEAD_BYTES +
  stateBytes({
    trim: NO_TRIM,
    seal: NO_SEAL,
    policy: NO_POLICY,
    access: NO_ACCESS,
    consumers: NO_CONSUMERS,
    nodes: NO_MEMBERS,
    sessions: NO_SESSIONS,
  });

/** Where the first entry of a client stands in a new log: after its state entry and the no-op of its first term. */
export const LOG_HEAD_BYTES = STATE_ENTRY_BYTES + NO_OP_BYTES;
