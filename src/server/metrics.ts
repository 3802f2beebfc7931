// What /metrics says, through prom-client. Values are fetched when they are scraped; nothing is counted twice.

import { createRequire } from 'node:module';
import type { Registry } from 'prom-client';
import { STATE, WORD } from '../memory/map.ts';
import { consumerLags } from '../node/consumers.ts';
import type { CertificateStatus } from '../node/door.ts';
import type { Engine } from '../node/engine.ts';
import { residentBytes } from '../node/residentBytes.ts';
import { FIRST_SYNC_SECONDS, timeOf } from '../node/status.ts';
import type { AcceptorName } from './acceptor.ts';
import type { Audit } from './audit.ts';
import { FetchedHistogram } from './fetchedHistogram.ts';
import type { Incidents } from './incidents.ts';

/** What of a door is shown. */
export interface DoorMetrics {
  readonly acceptor: AcceptorName;
  readonly certificates: readonly CertificateStatus[];
  readonly connections: number;
  readonly sendBufferedBytes: number;
  readonly incidents: Incidents;
  readonly audit: Audit;
  readonly authentications: ReadonlyMap<string, { readonly count: number }>;
  readonly downloads: { readonly count: number; readonly bytes: number };
}

/**
 * The library takes long to load, and much memory: only a node that is scraped has it. Not by `import`, which would remember for ever that a file
 * could not be opened once.
 */
function loadLibrary(): typeof import('prom-client') {
  return createRequire(import.meta.url)('prom-client') as typeof import('prom-client');
}

/** A registry with every metric of a node. Names and units follow Prometheus' conventions: seconds, bytes, `_total`. */
export function makeRegistry(engine: Engine, door: DoorMetrics): Registry {
  const { Counter, Gauge, Registry } = loadLibrary();
  const { memory, appends, readings, segments, pulse, uploads } = engine;
  const registry = new Registry();
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name: `loglog_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  };
  const counter = (name: string, help: string, value: () => number): void => {
    new Counter({
      name: `loglog_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  const counterBy = (name: string, label: string, help: string, counts: Iterable<readonly [string, { readonly count: number }]>): void => {
    new Counter({
      name: `loglog_${name}_total`,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [value, { count }] of counts) this.inc({ [label]: value }, count);
      },
    });
  };
  gauge('log_start_offset', 'First log offset kept.', () => memory.word(WORD.START));
  gauge('log_tail_offset', 'End of the ordered log.', () => memory.tail);
  gauge('log_durable_offset', 'End of what this node has synced to disk.', () => memory.durable);
  gauge('log_commit_offset', 'End of what may be read.', () => memory.commit);
  gauge('term', 'Current term.', () => memory.word(WORD.TERM));
  gauge('is_leader', '1 while this node leads.', () => (memory.word(WORD.OPEN_TERM) === 0 ? 0 : 1));
  gauge(
    'tolerated_failures',
    'How many more nodes may fail before there is no majority, as the leader knows it; NaN on the others.',
    () => engine.cluster.toleratedFailures ?? Number.NaN,
  );
  new Gauge({
    name: 'loglog_members',
    help: 'Nodes of the set that the log says, by what they are: voter, learner (becomes a voter), reader (a learner that stays one).',
    labelNames: ['role'],
    registers: [registry],
    collect() {
      const { members } = engine.cluster.nodesOfLog;
      for (const role of ['voter', 'learner', 'reader'] as const)
        this.set({ role }, members.filter((member) => member.role === role).length);
    },
  });
  gauge('log_level', "The log's level.", () => engine.fold.level);
  counter('elections', 'Terms in which this node has heard of a leader, itself too, since it started.', () => engine.role.elections);
  new Gauge({
    name: 'loglog_build_info',
    help: 'Always 1: the version of LogLog, and of Node.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
    collect() {
      this.set({ version: engine.version, node_version: process.versions.node }, 1);
    },
  });
  new Gauge({
    name: 'loglog_peer_durable_offset',
    help: 'End of what another node is known to have on disk; only where this node leads and has heard it.',
    labelNames: ['node'],
    registers: [registry],
    collect() {
      this.reset();
      if (memory.word(WORD.OPEN_TERM) === 0) return;
      for (const node of engine.cluster.others) {
        const { match } = memory.peers.get(node);
        // A node that has not answered this leader has no sample: 0 would be a number that nobody told.
        if (match !== null) this.set({ node }, match);
      }
    },
  });
  let lags = consumerLags(memory, engine.fold) ?? new Map<string, number>();
  new Gauge({
    name: 'loglog_consumer_lag_bytes',
    help: 'Bytes up to the end of the last committed entry that a named consumer has not committed yet, as far as the log of this node says it.',
    labelNames: ['consumer'],
    registers: [registry],
    collect() {
      this.reset();
      // While they change, those of the last time are as good.
      lags = consumerLags(memory, engine.fold) ?? lags;
      for (const [consumer, bytes] of lags) this.set({ consumer }, bytes);
    },
  });
  gauge('sessions', "Sessions of producers that the log has at this node's end of it.", () => engine.sessions.status.count);
  gauge('sessions_most', 'Sessions that the log may have where this node leads.', () => engine.sessions.status.most);
  counterBy('sessions_evicted', 'why', 'Sessions that this node has had the log forget: because of their age, or for the room of others.', {
    *[Symbol.iterator]() {
      for (const [why, count] of Object.entries(engine.sessions.status.evicted)) yield [why, { count }];
    },
  });
  counter('append_repeats', 'Appends of sessions that were sent again and were in the log already.', () => appends.repeats);
  gauge('fsync', '1 where writes are synced; 0 with --fsync off: nothing is durable.', () => Number(engine.config.fsync));
  gauge(
    'log_time_seconds',
    "The log's time at its end here, Unix seconds; NaN where it has none.",
    () => (timeOf(engine).timeMs ?? Number.NaN) / 1000,
  );
  gauge('log_time_held', "1 while this node leads and the log's time stands still, because clocks are too far apart.", () =>
    Number(timeOf(engine).isTimeHeld),
  );
  gauge('sealed_segments', 'Sealed segments on disk.', () => segments.sealedCount);
  new Gauge({
    name: 'loglog_acceptor_info',
    help: 'Always 1: what has the connections of clients.',
    labelNames: ['acceptor'],
    registers: [registry],
    collect() {
      this.set({ acceptor: door.acceptor }, 1);
    },
  });
  const certificates = (): readonly CertificateStatus[] => [...(engine.peerFiles?.certificates ?? []), ...door.certificates];
  new Gauge({
    name: 'loglog_certificate_expiry_seconds',
    help: "Seconds until a certificate ends, below 0 once it has: the node's own, or an authority, of the clients' port or of that for nodes.",
    labelNames: ['use'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { use, notAfterMs } of certificates()) this.set({ use }, (notAfterMs - engine.loop.wallMs()) / 1e3);
    },
  });
  gauge(
    'certificates_refused',
    '1 while files for TLS, or a secret of nodes, have changed and will not do, so that what was in force stays so.',
    () => Number((engine.peerFiles?.fault ?? null) !== null || door.certificates.some(({ fault }) => fault !== null)),
  );
  counterBy('peer_proofs_failed', 'side', 'Connections between nodes that ended without a proof that both ends believe.', {
    *[Symbol.iterator]() {
      yield ['came', { count: memory.word32(STATE.PROOFS_REFUSED) }];
      yield ['dialed', { count: memory.word32(STATE.PROOFS_FAILED) }];
    },
  });
  gauge('insecure', '1 where whoever reaches the node may do everything although others than its machine do.', () =>
    Number(engine.config.insecure),
  );
  gauge('disk_level', 'Room on the disk: 0 enough, 1 low, 2 critical: no appends are taken.', () => memory.word32(STATE.DISK_LEVEL));
  gauge(
    'disk_free_bytes',
    'Bytes that are free on the disk; NaN where the system does not say.',
    () => engine.disk.status.freeBytes ?? Number.NaN,
  );
  gauge('appends_refused_for_disks', '1 while no appends are taken because disks are full.', () =>
    Number(engine.disk.status.whyRefused !== null),
  );
  const scrub = (): typeof engine.scrub.status => engine.scrub.status;
  gauge(
    'scrub_position',
    'Log offset up to which the tour through all sealed segments has read; NaN before the first one.',
    () => scrub().position ?? Number.NaN,
  );
  gauge(
    'scrub_end_timestamp_seconds',
    'When that tour will end, Unix time; NaN where there is none.',
    () => (scrub().endsMs ?? Number.NaN) / 1e3,
  );
  gauge(
    'scrub_unread_seconds',
    'Age of the oldest sealed byte that was not read since; NaN before the first tour has ended.',
    () => (engine.loop.wallMs() - (scrub().sinceMs ?? Number.NaN)) / 1e3,
  );
  counter('scrub_read_bytes', 'Bytes of sealed segments read to find damage.', () => scrub().readBytes);
  gauge('damaged_segments', 'Sealed segments that are known to be damaged on the disk of this node.', () => engine.damages.status.damaged);
  gauge('open_segment_damaged', '1 while the segment in which the log goes on is damaged on this node, so that it does not count.', () =>
    Number(engine.mending.status !== undefined),
  );
  counter('segments_found_damaged', 'Sealed segments that were found damaged.', () => engine.damages.status.found);
  counter('segments_healed', 'Sealed segments that were damaged and healed.', () => engine.damages.status.healed);
  const { mirror } = engine;
  if (mirror !== undefined) {
    gauge('mirror_connected', '1 while this mirror follows its source.', () => Number(mirror.status().isConnected));
    gauge(
      'mirror_behind_bytes',
      "What this mirror lacks of its source's log; NaN where that is not known.",
      () => mirror.status().behindBytes ?? Number.NaN,
    );
    gauge(
      'mirror_behind_seconds',
      "How old this mirror's newest entry is while it lacks any, by the log's time; NaN where it has none.",
      () => (mirror.status().behindMs ?? Number.NaN) / 1000,
    );
  }
  gauge('connections', 'Clients connected.', () => door.connections);
  counterBy('connections_closed', 'reason', 'Connections that the node closed or refused.', door.incidents.closedCounts);
  counterBy('requests_refused', 'code', 'Requests that were answered with an error.', door.incidents.refusedCounts);
  counterBy('authentications', 'result', 'Tokens that were shown, by what came of it.', door.authentications);
  counterBy('changes', 'what', 'Trims, and changes of retention, level, nodes and tokens, that were done.', door.audit.doneCounts);
  counterBy('changes_refused', 'what', 'The same, refused or failed.', door.audit.refusedCounts);
  gauge('append_held_bytes', 'Bytes of appends that wait for the disk.', () => appends.heldBytes);
  gauge('send_buffered_bytes', 'Bytes that wait for slow clients.', () => door.sendBufferedBytes);
  gauge('process_resident_memory_bytes', 'Resident memory of the process.', residentBytes);
  counter('process_cpu_seconds', 'CPU time of the process.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  counter('event_loop_late_seconds', 'How long the event loop of the main thread was late for its beats.', () => pulse.lateMs / 1e3);
  counter('event_loop_hangs', 'Times that the main thread did not answer for so long that its node must not lead while others can.', () =>
    memory.word32(STATE.HANGS),
  );
  counter('append_entries', 'Entries ordered.', () => appends.counters.entries);
  counter('append_batches', 'APPEND requests ordered.', () => appends.counters.batches);
  counter('append_bytes', 'Bytes of entries ordered, with their overhead.', () => appends.counters.bytes);
  gauge('subscriptions', 'Readings that go on: subscriptions, and reads that wait.', () => readings.openCount);
  counter('read_bytes', 'Bytes of entries sent to readers.', () => readings.counters.readBytes);
  gauge('segment_downloads', 'Downloads of sealed segments over HTTP under way.', () => door.downloads.count);
  counter('segment_download_bytes', 'Bytes of entries of sealed segments sent over HTTP.', () => door.downloads.bytes);
  counter('cold_reads', 'Reads that went to the disk.', () => readings.counters.coldReads);
  counter('written_bytes', 'Bytes of entries written to the disk.', () => memory.word(WORD.WRITTEN_BYTES));
  gauge('upload_staged_bytes', 'Memory that staged uploads take, in bytes.', () => uploads.stagedBytes);
  counter('uploads_taken', 'Uploads that were staged whole.', () => uploads.counters.taken);
  counter('upload_taken_bytes', 'Bytes of uploads that were staged whole.', () => uploads.counters.takenBytes);
  counter('uploads_placed', 'Uploads that were put to their place in the log.', () => uploads.counters.placed);
  counter(
    'uploads_expired',
    'Uploads that were forgotten because their time was over or their room was needed.',
    () => uploads.counters.expired,
  );
  counter('uploads_refused', 'Uploads that were refused.', () => uploads.counters.refused);
  counter('upload_hits', 'Uploads that this leader referred another node to.', () => memory.word(WORD.REFERENCE_HITS));
  counter('upload_misses', 'Uploads that this leader had to send although their client named the node.', () =>
    memory.word(WORD.REFERENCE_MISSES),
  );
  new Counter({
    name: 'loglog_peer_sent_bytes_total',
    help: 'Bytes handed to the link to another node.',
    labelNames: ['node'],
    registers: [registry],
    collect() {
      this.reset();
      for (const node of engine.cluster.others) this.inc({ node }, memory.peers.sentBytes(node));
    },
  });
  new FetchedHistogram(
    registry,
    'loglog_append_ack_latency_seconds',
    'From the arrival of an append to its committed answer.',
    64e-6,
    () => appends.latency,
  );
  new FetchedHistogram(
    registry,
    'loglog_fsync_duration_seconds',
    'Time of one write and fdatasync of entries.',
    FIRST_SYNC_SECONDS,
    () => ({
      counts: memory.syncBuckets(),
      sumSeconds: memory.word(WORD.SYNC_MICROSECONDS) / 1e6,
    }),
  );
  return registry;
}
