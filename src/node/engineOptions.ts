// What an engine is started with.

import type { Config } from '../core/config.ts';
import type { DirectLog } from '../threads/directLog.ts';
import type { Mirror } from './mirrorPort.ts';

/** The options of a node that are about its log and its cluster; the others are about its doors. */
export type EngineConfig = Omit<
  Config,
  'host' | 'port' | 'acceptor' | 'maxConnections' | 'tokens' | 'tokenQuotas' | 'addressQuotas' | 'allowOrigin' | 'allowHost'
>;

/** Where an engine's log lines go. */
export interface EngineLog {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
  /** Who did what others rely on: fields for programs beside the line. Default: `info` gets the line. */
  audit?(fields: Readonly<Record<string, string>>, text: string): void;
}

export interface EngineOptions {
  readonly config: EngineConfig;
  readonly log: EngineLog;
  /** Ends the wait for a cluster: a node with an empty directory learns from the others which one it joins. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether the engine keeps the process running until it has stopped. False: neither its threads nor its timers do; who asks it for something must.
   * Default true.
   */
  readonly keepsRunning?: boolean | undefined;
  /** What `log` writes to, for what is to be said while the main thread hangs. */
  readonly directLog?: DirectLog | undefined;
  /** The engine is a mirror: this follows another log, and the engine orders nothing. */
  readonly mirror?: Mirror | undefined;
  /** Called when the directory is this engine's and before anything in it is changed; what it throws ends the start. */
  readonly beforeChange?: (() => Promise<void>) | undefined;
}
