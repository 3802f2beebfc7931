// What a new log begins with, before the first entry of a client.

import { ENTRY_OVERHEAD_BYTES, NO_OP_BYTES } from '../../assembly/layout.ts';
import type { Configuration } from '../../src/core/members.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { type LogMembers, NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM } from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { stateBytes } from '../../src/format/stateEntry.ts';

function stateEntryBytes(nodes: LogMembers): number {
  const policies = { policy: NO_POLICY, access: NO_ACCESS, consumers: NO_CONSUMERS, sessions: NO_SESSIONS };
  return ENTRY_OVERHEAD_BYTES + stateBytes({ trim: NO_TRIM, seal: NO_SEAL, ...policies, nodes });
}

const ALONE: Configuration = [{ id: 1, instance: '1'.repeat(16), role: 'voter', host: '', port: 0, peerPort: 0 }];

/** The state entry at the head of a segment of a node alone, which has no address for others, while the log was never trimmed and has no policy. */
export const STATE_ENTRY_BYTES = stateEntryBytes({ members: ALONE, removed: [] });

/** Where the first entry of a client stands in a new log of such a node: after its state entry and the no-op of its first term. */
export const LOG_HEAD_BYTES = STATE_ENTRY_BYTES + NO_OP_BYTES;

/** The same of a log that does not say which nodes it has, as that of a cluster until its nodes have greeted each other. */
export const BARE_STATE_ENTRY_BYTES = stateEntryBytes(NO_MEMBERS);
export const BARE_LOG_HEAD_BYTES = BARE_STATE_ENTRY_BYTES + NO_OP_BYTES;
