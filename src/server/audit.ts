// Who changed what others rely on: a line for each, and counters. However often somebody does it, no log is filled.

import type { Identity } from '../core/access.ts';
import { AUDIT_LINES } from '../core/accessLimits.ts';
import { LogError } from '../core/errors.ts';
import { INCIDENT_LOG_MS } from '../core/servingLimits.ts';
import type { EngineLog } from '../node/engineOptions.ts';

/** What is told, by what metrics call it. */
export const AUDITED = [
  'trim',
  'set_retention',
  'finalize_upgrade',
  'transfer',
  'change_nodes',
  'create_token',
  'revoke_token',
  'reset_consumer',
  'remove_consumer',
] as const;
export type Audited = (typeof AUDITED)[number];

/** Who did it. */
export interface Actor {
  readonly identity: Identity | undefined;
  /** Where it is, for people. */
  readonly from: string;
}

/** Whoever has it, in a sentence: `token 0GdR… "deploy" from 10.0.0.7`. */
export function actorText({ identity, from }: Actor): string {
  if (identity === undefined || identity.kind === 'open') return from;
  return `${identity.kind} ${identity.id} ${JSON.stringify(identity.name)} ${from}`;
}

export class Audit {
  readonly #log: EngineLog;
  readonly #nowMs: () => number;
  /** How often each was done, and refused. */
  readonly #done = new Map<string, { count: number }>(AUDITED.map((what) => [what, { count: 0 }]));
  readonly #refused = new Map<string, { count: number }>(AUDITED.map((what) => [what, { count: 0 }]));
  #sinceMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #untold = 0;

  constructor(log: EngineLog, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  get doneCounts(): ReadonlyMap<string, { readonly count: number }> {
    return this.#done;
  }

  get refusedCounts(): ReadonlyMap<string, { readonly count: number }> {
    return this.#refused;
  }

  /** It was done, or not: `thrown` says why. */
  note(what: Audited, actor: Actor, detail: string, thrown?: unknown): void {
    const counter = (thrown === undefined ? this.#done : this.#refused).get(what);
    if (counter !== undefined) counter.count += 1;
    const nowMs = this.#nowMs();
    if (nowMs - this.#sinceMs >= INCIDENT_LOG_MS) {
      if (this.#untold > 0) this.#log.info(`audit: ${this.#untold} more in the minute before, of which there was no room to tell`);
      this.#sinceMs = nowMs;
      this.#lines = 0;
      this.#untold = 0;
    }
    this.#lines += 1;
    if (this.#lines > AUDIT_LINES) {
      this.#untold += 1;
      return;
    }
    const code = thrown instanceof LogError ? thrown.code : undefined;
    const outcome = thrown === undefined ? 'done' : code === undefined ? 'failed' : `refused with ${code}`;
    const { identity, from } = actor;
    const fields = { what, by: identity?.kind ?? 'open', id: identity?.id ?? '', name: identity?.name ?? '', from, detail, outcome };
    const who = fields.by === 'open' ? `somebody ${from}` : actorText(actor);
    const text = `audit: ${what} ${detail} by ${who}: ${outcome}`;
    if (this.#log.audit === undefined) this.#log.info(text);
    else this.#log.audit(fields, text);
  }
}
