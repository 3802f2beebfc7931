// Which scope each request needs: one table for both acceptors, from which docs/PROTOCOL.md, "Scopes", is checked.

import { ALL_SCOPES, SCOPES, type Scope, scopeNames } from '../core/access.ts';
import {
  APPEND,
  CANCEL,
  CREDIT,
  END,
  FIND,
  INTRODUCE,
  READ,
  RETENTION,
  RETENTION_AGE,
  RETENTION_BYTES,
  RETENTION_CONSUMERS,
  SUBSCRIBE,
  TRANSFER,
  TRIM,
  UPGRADE,
  UPGRADE_FINALIZE,
  UPLOAD,
} from '../protocol/client.ts';
import { CONSUMERS } from '../protocol/consumers.ts';
import { MEMBERS } from '../protocol/members.ts';
import { OPEN_SESSION } from '../protocol/sessions.ts';
import { TOKENS } from '../protocol/tokens.ts';

interface Right {
  readonly opcode: number;
  readonly needs: Scope | undefined;
  /** With any of these flags it needs another one. */
  readonly flags?: number;
  readonly flagsNeed?: Scope;
}

/** Undefined: whoever was let in may. CREDIT and CANCEL go with what was begun. */
export const REQUEST_RIGHTS: readonly Right[] = [
  { opcode: APPEND, needs: 'append' },
  { opcode: READ, needs: 'read' },
  { opcode: SUBSCRIBE, needs: 'read' },
  { opcode: CREDIT, needs: undefined },
  { opcode: CANCEL, needs: undefined },
  { opcode: END, needs: 'read' },
  { opcode: INTRODUCE, needs: undefined },
  { opcode: UPLOAD, needs: 'append' },
  { opcode: TRIM, needs: 'trim' },
  { opcode: FIND, needs: 'read' },
  { opcode: RETENTION, needs: 'read', flags: RETENTION_BYTES | RETENTION_AGE | RETENTION_CONSUMERS, flagsNeed: 'trim' },
  { opcode: UPGRADE, needs: 'read', flags: UPGRADE_FINALIZE, flagsNeed: 'admin' },
  { opcode: TRANSFER, needs: 'admin' },
  { opcode: TOKENS, needs: 'admin' },
  { opcode: MEMBERS, needs: 'admin' },
  { opcode: CONSUMERS, needs: 'consume' },
  { opcode: OPEN_SESSION, needs: 'append' },
];

/** What pages over HTTP need. Those that are not here need nothing. */
export const PAGE_RIGHTS = {
  '/status': 'metrics',
  '/history': 'metrics',
  '/metrics': 'metrics',
  '/log/': 'read',
} as const satisfies Record<string, Scope>;

/** What is not in the table is for those who may do everything. */
const plain = new Uint8Array(256).fill(SCOPES.admin);
const flagged = new Uint8Array(256);
const flags = new Uint8Array(256);
for (const { opcode, needs, flags: these = 0, flagsNeed } of REQUEST_RIGHTS) {
  plain[opcode] = needs === undefined ? 0 : SCOPES[needs];
  flags[opcode] = these;
  flagged[opcode] = flagsNeed === undefined ? 0 : SCOPES[flagsNeed];
}

/** The bit of the scope that a request needs; 0: none. */
export function scopeNeeded(opcode: number, given: number): number {
  return ((given & (flags[opcode] ?? 0)) === 0 ? plain[opcode] : flagged[opcode]) ?? 0;
}

/** Why whoever has `scopes` may not do what needs the bit `needed`. */
export function forbidden(scopes: number, needed: number): string {
  const has = scopes === ALL_SCOPES ? 'all' : scopeNames(scopes).join(', ');
  return `this needs the scope ${scopeNames(needed).join()}, and what was shown to this node has ${has}: show a token, or a certificate, that has it`;
}
