// What an engine needs to be a mirror of the log of a source, which is asked who it is when the directory is empty.

import { resolve } from 'node:path';
import { connect, type TlsSource, type TokenSource } from '../client/index.ts';
import { MIRROR_SEARCH_MS, MIRROR_STUCK_MS } from '../core/clientLimits.ts';
import type { Config } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { checkMirror } from '../node/membership.ts';
import type { Mirror, MirrorParts, MirrorStatus } from '../node/mirrorPort.ts';
import type { RaftEvents, RaftPort } from '../node/raftPort.ts';
import { type MirrorSource, readIdentity } from '../storage/dataDirectory.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import { MirrorFeed } from './mirrorFeed.ts';

/** The id of a mirror, which no node of a cluster has as a rule: clients that know both tell them apart. */
export const MIRROR_NODE_ID = MAX_NODE_ID;

/** Which log is mirrored, and how its nodes are reached. */
export interface SourceOptions {
  /** Nodes of the source. */
  readonly urls: readonly string[];
  /** What they are shown; undefined: nothing. */
  readonly token?: TokenSource | undefined;
  /** What its nodes' certificates must be of, and what they are shown. */
  readonly tls?: TlsSource | undefined;
  /** Default MIRROR_STUCK_MS. */
  readonly stuckMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is mirrored. */
interface Facts {
  readonly clusterId: string;
  readonly source: MirrorSource;
}

class FollowingMirror implements Mirror {
  readonly clusterId: string;
  readonly source: MirrorSource;
  readonly refusal: string;
  readonly #urls: readonly string[];
  readonly #stuckMs: number;
  readonly #token: TokenSource | undefined;
  readonly #tls: TlsSource | undefined;
  #feed: MirrorFeed | undefined;

  constructor(
    { urls, token, tls, stuckMs = MIRROR_STUCK_MS }: Pick<SourceOptions, 'urls' | 'token' | 'tls' | 'stuckMs'>,
    { clusterId, source }: Facts,
  ) {
    this.#token = token;
    this.#tls = tls;
    this.#urls = urls;
    this.#stuckMs = stuckMs;
    this.clusterId = clusterId;
    this.source = source;
    this.refusal = `this node is a read-only mirror of ${urls.map(withoutSecrets).join(',')}, where appends and trims are done`;
  }

  get generation(): string {
    return this.#feed?.generation ?? this.source.generation;
  }

  status(): MirrorStatus {
    if (this.#feed === undefined) throw new LogError('IO', 'a mirror says how it stands once it follows');
    return this.#feed.status;
  }

  follow(parts: MirrorParts, events: RaftEvents): RaftPort {
    this.#feed = new MirrorFeed({
      urls: this.#urls,
      token: this.#token,
      tls: this.#tls,
      clusterId: this.clusterId,
      parts,
      events,
      stuckMs: this.#stuckMs,
    });
    return this.#feed;
  }
}

/** Asks the source, which must be there, who it is. */
async function ask({ urls, token, tls, signal }: Pick<SourceOptions, 'urls' | 'token' | 'tls' | 'signal'>): Promise<Facts> {
  const client = await connect([...urls], { uploads: 'off', reconnect: { timeoutMs: MIRROR_SEARCH_MS }, token, tls, signal });
  try {
    // The answer comes after the greeting that tells more.
    await client.end({ timeoutMs: MIRROR_SEARCH_MS });
    const { clusterId, cluster } = client.hello;
    return { clusterId, source: { generation: cluster?.generation ?? NO_INSTANCE, segmentBytes: cluster?.segmentBytes ?? 0 } };
  } finally {
    await client.close({ timeoutMs: 0 });
  }
}

/** What a directory is a mirror of; undefined: it is empty, or new. Throws a LogError `USAGE` for a node's. */
function known(directory: string, fsync: boolean): Facts | undefined {
  const disk = diskOf(fsync);
  disk.makeDirectory(directory);
  const identity = readIdentity(disk, directory);
  if (identity?.mirror === undefined) {
    if (identity !== undefined) checkMirror(directory, identity, identity.clusterId);
    return undefined;
  }
  if (identity.mirror.promotion !== undefined) {
    const sentence = `${directory} is a mirror that is being made a log of its own, which did not come to its end`;
    throw new LogError('USAGE', `${sentence}; nothing was changed: run loglog promote ${directory} again`);
  }
  return { clusterId: identity.clusterId, source: identity.mirror };
}

/** What to start an engine with, as a mirror of the log at `urls`, in the directory of `config`: that of one, or empty. Throws UNREACHABLE where the source does not say who it is, and USAGE. */
export async function mirrorOf(
  { urls, token, tls, stuckMs, signal }: SourceOptions,
  config: Config,
): Promise<{ readonly config: Config; readonly mirror: Mirror }> {
  const facts = known(resolve(config.data), config.fsync) ?? (await ask({ urls, token, tls, signal }));
  const segmentBytes = facts.source.segmentBytes || config.segmentBytes;
  const mirrored: Config = { ...config, segmentBytes, node: MIRROR_NODE_ID, peers: [] };
  return { config: mirrored, mirror: new FollowingMirror({ urls, token, tls, stuckMs }, facts) };
}
