// The options of startCluster: its own, and those of every node.

import { checkOptions } from '../client/optionNames.ts';
import { type Config, configure } from '../core/config.ts';
import { asProperties } from '../core/giving.ts';
import { MAX_CLUSTER_NODES } from '../core/limits.ts';
import { flagOf, OPTIONS, type OptionName } from '../core/options.ts';

const MIB = 1024 * 1024;

/** What each node has its own value of. */
type OwnOption = 'data' | 'host' | 'port' | 'node' | 'peers' | 'join';

/** Options of `loglog serve` for all nodes, in camel case; see `loglog serve --help`. */
export type NodeSettings = {
  readonly [name in Exclude<OptionName, OwnOption>]?: (typeof OPTIONS)[name]['default'] extends number ? number : string;
};

export interface StartClusterOptions extends Omit<NodeSettings, 'fsync' | 'tokens'> {
  /** Number of nodes, 1 to 7. Default 3. */
  readonly nodes?: number;
  /**
   * Holds the data directories and the logs of all nodes, and stays when the cluster is closed; it must be empty or new. Default: a
   * temporary one, which is removed.
   */
  readonly directory?: string;
  /**
   * `false`: nodes sync nothing, which is faster; nothing is durable then, and receipts, greetings and statuses say so. What is acknowledged
   * is there after a kill all the same. Default `true`.
   */
  readonly fsync?: boolean;
  /**
   * `true`: the nodes ask their clients for a token, as `loglog serve --tokens on`. {@link TestCluster.adminToken} is one with all scopes, which clients of
   * {@link TestCluster.connect} show unless they are given another one. Default `false`.
   */
  readonly tokens?: boolean;
  /** Longest time for the start, in milliseconds. Default 60 000. */
  readonly timeoutMs?: number;
}

/**
 * Small segments, so that a cluster starts quickly and takes little room: of memory, and of a disk on which files are written ahead. An
 * election timeout that makes failovers short, and that a busy machine keeps.
 */
const DEFAULTS: NodeSettings = { segmentBytes: 4 * MIB, slots: 4, electionTimeoutMs: 500 };

const OWN: readonly string[] = ['data', 'host', 'port', 'node', 'peers', 'join'] satisfies OwnOption[];
const NODE_OPTIONS = (Object.keys(OPTIONS) as OptionName[]).filter((name) => !OWN.includes(name));
const CLUSTER_OPTIONS = ['nodes', 'directory', 'timeoutMs'] as const;

export interface ClusterPlan {
  readonly nodes: number;
  readonly directory: string | undefined;
  readonly timeoutMs: number;
  /** Whether the nodes ask for tokens. */
  readonly hasTokens: boolean;
  /** Flags of `loglog serve` for every node. */
  readonly flags: readonly string[];
  readonly config: Config;
}

function wholeNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
  return value;
}

/** Checks all options. Throws TypeError for one that is not known, with the nearest name, RangeError or a LogError `USAGE` for a value. */
export function planOf(options: StartClusterOptions): ClusterPlan {
  checkOptions('startCluster', options, [...CLUSTER_OPTIONS, ...NODE_OPTIONS]);
  const { nodes = 3, directory, timeoutMs = 60_000, fsync = true, tokens = false, ...given } = options;
  if (directory !== undefined && typeof directory !== 'string') throw new TypeError(`directory must be a string, not ${typeof directory}`);
  for (const [name, value] of Object.entries({ fsync, tokens })) {
    if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${typeof value}`);
  }
  const settings: NodeSettings = { ...DEFAULTS, ...given, ...(fsync ? {} : { fsync: 'off' }), ...(tokens ? { tokens: 'on' } : {}) };
  return {
    nodes: wholeNumber('nodes', nodes, 1, MAX_CLUSTER_NODES),
    directory,
    timeoutMs: wholeNumber('timeoutMs', timeoutMs, 1, 0x7fff_ffff),
    hasTokens: tokens,
    flags: Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [flagOf(name), String(value)])),
    config: configure(settings, asProperties()),
  };
}
