// What a leader says in its log of how it feeds the others: who is far behind and how far it has come, and who cannot be fed at all.

import type { NodeId } from '../raft/messages.ts';

/** How a node is fed: from disk, because it is far behind; not at all, because this node has trimmed what it needs; or as usual. */
export type FeedKind = 'usual' | 'fromDisk' | 'stuck';

type Log = (level: 'info' | 'warn', text: string) => void;

/** Progress is told no more often than this. */
const REPORT_MS = 5_000;

interface CatchUp {
  readonly fromOffset: number;
  readonly sinceMs: number;
  toldAtMs: number;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export class FeedReport {
  readonly #log: Log;
  readonly #catchingUp = new Map<NodeId, CatchUp>();
  readonly #stuck = new Set<NodeId>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** How `node` is fed now: it has everything before `match`, of a log that ends at `end`. */
  update(node: NodeId, kind: FeedKind, match: number, end: number, nowMs: number): void {
    if (kind === 'stuck' && !this.#stuck.has(node)) {
      this.#stuck.add(node);
      this.#log('warn', `node ${node} cannot be fed: it needs entries that were trimmed here; another node may have them`);
    }
    if (kind !== 'stuck') this.#stuck.delete(node);
    const catchUp = this.#catchingUp.get(node);
    if (kind === 'fromDisk') this.#behind(node, catchUp, match, end, nowMs);
    else if (catchUp !== undefined) {
      this.#catchingUp.delete(node);
      const seconds = Math.max(0.001, (nowMs - catchUp.sinceMs) / 1000);
      const bytes = match - catchUp.fromOffset;
      this.#log(
        'info',
        `node ${node} has caught up: ${megabytes(bytes)} in ${seconds.toFixed(1)} s, ${megabytes(bytes / seconds)} a second`,
      );
    }
  }

  /** This node leads no longer. */
  clear(): void {
    this.#catchingUp.clear();
    this.#stuck.clear();
  }

  #behind(node: NodeId, catchUp: CatchUp | undefined, match: number, end: number, nowMs: number): void {
    if (catchUp === undefined) {
      this.#catchingUp.set(node, { fromOffset: match, sinceMs: nowMs, toldAtMs: nowMs });
      this.#log('info', `node ${node} is fed from disk: it lacks ${megabytes(end - match)}, from offset ${match} on`);
    } else if (nowMs - catchUp.toldAtMs >= REPORT_MS) {
      catchUp.toldAtMs = nowMs;
      const percent = Math.floor((100 * (match - catchUp.fromOffset)) / Math.max(1, end - catchUp.fromOffset));
      this.#log('info', `node ${node} is fed from disk: ${percent} %, ${megabytes(end - match)} to go`);
    }
  }
}
