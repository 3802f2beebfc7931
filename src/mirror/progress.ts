// What a mirror tells of itself: whether it follows its source, how far behind it is, and how a catch-up goes.

import { MIRROR_CATCH_UP_BYTES, MIRROR_PROGRESS_MS } from '../core/clientLimits.ts';
import { withoutSecrets } from '../core/secrets.ts';
import type { CatchUpStatus, MirrorStatus } from '../node/mirrorPort.ts';

export interface ProgressPorts {
  /** Where the log ends here, and how old its newest entry is by the log's own time, in milliseconds; undefined: it has no time. */
  end(): number;
  ageMs(): number | undefined;
  nowMs(): number;
  wallMs(): number;
  log(level: 'info' | 'warn', text: string): void;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Where a catch-up began, and what it is to reach. */
interface CatchUp {
  readonly from: number;
  readonly sinceMs: number;
  saidMs: number;
}

export class MirrorProgress {
  readonly #source: readonly string[];
  readonly #ports: ProgressPorts;
  #sourceCommit: number | undefined;
  #awaySinceMs: number | undefined;
  #why: string | undefined;
  #catchUp: CatchUp | undefined;

  constructor(urls: readonly string[], ports: ProgressPorts) {
    this.#source = urls.map(withoutSecrets);
    this.#ports = ports;
    this.#awaySinceMs = ports.wallMs();
  }

  /** It follows the node at `url`, which had so much committed. */
  connected(url: string, commit: number): void {
    if (this.#awaySinceMs !== undefined)
      this.#ports.log('info', `follows the source at ${withoutSecrets(url)}, whose log is committed up to offset ${commit}`);
    this.#awaySinceMs = undefined;
    this.#why = undefined;
  }

  /** It does not follow any more, or still not, for this reason. */
  away(why: string): void {
    const isNews = this.#why !== why;
    this.#awaySinceMs ??= this.#ports.wallMs();
    this.#why = why;
    if (isNews) this.#ports.log('warn', `this mirror does not follow its source now, and serves what it has: ${why}`);
  }

  /** It follows, but takes nothing, for this reason; undefined: it does again. */
  paused(why: string | undefined): void {
    if (why !== undefined && why !== this.#why) this.#ports.log('warn', why);
    this.#why = why;
  }

  /** The source has so much committed. */
  told(commit: number): void {
    this.#sourceCommit = Math.max(commit, this.#sourceCommit ?? 0);
    const { end, nowMs } = this.#ports;
    const missing = this.#sourceCommit - end();
    if (this.#catchUp === undefined && missing >= MIRROR_CATCH_UP_BYTES) {
      this.#catchUp = { from: end(), sinceMs: nowMs(), saidMs: nowMs() };
      this.#ports.log('info', `catches up: ${mebibytes(missing)} of the source's log are missing here`);
    }
  }

  /** The log has grown. */
  moved(): void {
    const catchUp = this.#catchUp;
    if (catchUp === undefined) return;
    const { end, nowMs, log } = this.#ports;
    if (end() >= (this.#sourceCommit ?? 0)) {
      this.#catchUp = undefined;
      const seconds = (nowMs() - catchUp.sinceMs) / 1000;
      log('info', `caught up with the source at offset ${end()}: ${mebibytes(end() - catchUp.from)} in ${seconds.toFixed(1)} s`);
    } else if (nowMs() - catchUp.saidMs >= MIRROR_PROGRESS_MS) {
      catchUp.saidMs = nowMs();
      const { percent, bytesPerSecond, secondsLeft } = this.#catchUpStatus(catchUp);
      const left = secondsLeft === null ? '' : `, ${Math.ceil(secondsLeft)} s left`;
      log('info', `catches up: ${percent} %, ${mebibytes(bytesPerSecond)}/s${left}`);
    }
  }

  #catchUpStatus({ from, sinceMs }: CatchUp): CatchUpStatus {
    const { end, nowMs } = this.#ports;
    const done = end() - from;
    const missing = Math.max(0, (this.#sourceCommit ?? 0) - end());
    const bytesPerSecond = Math.round((done * 1000) / Math.max(1, nowMs() - sinceMs));
    const percent = Math.floor((100 * done) / Math.max(1, done + missing));
    return { percent, bytesPerSecond, secondsLeft: bytesPerSecond === 0 ? null : Math.round(missing / bytesPerSecond) };
  }

  get status(): MirrorStatus {
    const behindBytes = this.#sourceCommit === undefined ? null : Math.max(0, this.#sourceCommit - this.#ports.end());
    return {
      source: this.#source,
      isConnected: this.#awaySinceMs === undefined,
      awaySinceMs: this.#awaySinceMs ?? null,
      why: this.#why ?? null,
      sourceCommit: this.#sourceCommit ?? null,
      behindBytes,
      behindMs: behindBytes === 0 && this.#awaySinceMs === undefined ? 0 : (this.#ports.ageMs() ?? null),
      catchUp: this.#catchUp === undefined ? null : this.#catchUpStatus(this.#catchUp),
    };
  }
}
