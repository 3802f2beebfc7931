// Clients that put their messages on the followers themselves, beside those whose leader does it: on links that are slower than the machine, in a network
// of the scenario's own.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_UPLOAD_BYTES } from '../../src/core/uploadLimits.ts';
import type { UploadsMode, UploadsRow } from '../load/types.ts';
import { portOf, ShapedNetwork, whyNoShapedNetwork } from '../network/shapedNetwork.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { median } from '../statistics.ts';
import { LogLogNode } from '../systems/loglogNode.ts';

const CLIENT_PORT = 7070;
const PEER_PORT = 7170;
/** A message of the largest size that is uploaded has this much besides its payload. */
const FRAME_BYTES = 64;

/** What the reader calls the modes. */
const NAMES: Record<UploadsMode, string> = { off: 'relay', on: 'uploads', auto: 'auto' };

function sizeText(bytes: number): string {
  return bytes >= 1 << 20 ? `${Math.round(bytes / (1 << 20))} MiB` : `${Math.round(bytes / 1024)} KiB`;
}

/** The lines of one case; `rows` are those of all of its slices. */
function samplesOf(nodes: number, rows: readonly UploadsRow[]): Sample[] {
  const [first] = rows;
  if (first === undefined) return [];
  const of = (mode: UploadsMode): readonly UploadsRow[] => rows.filter((row) => row.mode === mode);
  const what = `${nodes} nodes, ${first.clients === 1 ? '1 client' : `${first.clients} clients`}, ${sizeText(first.payloadBytes)}`;
  const samples: Sample[] = [];
  for (const mode of ['off', 'on', 'auto'] as const) {
    const slices = of(mode);
    if (slices.length === 0) continue;
    const middle = (value: (row: UploadsRow) => number): number => median(slices.map(value));
    const name = `${what}: ${NAMES[mode]}`;
    samples.push(
      { what: name, value: middle((row) => row.megabytesPerSecond), unit: 'MB/s' },
      { what: `${name}, p50`, value: middle((row) => row.latency.p50Ms), unit: 'ms' },
      { what: `${name}, p99`, value: middle((row) => row.latency.p99Ms), unit: 'ms' },
      { what: `${name}, leader's bytes to nodes per payload byte`, value: middle((row) => row.leaderSentPerByte), unit: '' },
    );
    if (first.leaderInterfacePerByte !== undefined) {
      samples.push({
        what: `${name}, leader's interface per payload byte`,
        value: middle((row) => row.leaderInterfacePerByte ?? Number.NaN),
        unit: '',
      });
    }
    if (mode === 'off') continue;
    const pairs = of('off').slice(0, slices.length);
    const ratios = pairs.map((relay, i) => (slices[i]?.megabytesPerSecond ?? Number.NaN) / relay.megabytesPerSecond);
    if (ratios.length > 0) samples.push({ what: `${name}, times relay`, value: median(ratios), unit: '×' });
    const known = slices.reduce((sum, { hits, misses }) => sum + hits + misses, 0);
    const hits = slices.reduce((sum, row) => sum + row.hits, 0);
    if (known > 0) samples.push({ what: `${name}, references that hit`, value: (100 * hits) / known, unit: '%' });
  }
  return samples;
}

async function measure(context: Context, nodes: number): Promise<Sample[]> {
  const { sizes } = context;
  const counts = [...new Set(sizes.uploadClients.map((count) => (count === 0 ? nodes : count)))];
  const most = Math.max(...counts);
  const plan = { hosts: nodes + most, megabitsPerSecond: sizes.uploadMegabits, queueMs: sizes.uploadQueueMs };
  const network = await ShapedNetwork.make(plan);
  const folder = context.newFolder('uploads');
  const ids = Array.from({ length: nodes }, (_, i) => i + 1);
  const peers = ids.map((id) => `${id}=${network.addressOf(id)}:${CLIENT_PORT}/${PEER_PORT}`).join(',');
  // Nobody else is in a network of the bench's own.
  const flags = ['--insecure', '--peers', peers, '--segment-bytes', String(sizes.segmentBytes), '--slots', String(sizes.slots)];
  const servers = ids.map((id) => {
    const own = [
      '--node',
      String(id),
      ...flags,
      '--window-bytes',
      String(sizes.windowBytes),
      '--election-timeout-ms',
      String(sizes.electionTimeoutMs),
    ];
    return new LogLogNode(join(folder, `node-${id}`), own, undefined, network.at(id));
  });
  try {
    await Promise.all(servers.map((server) => server.start()));
    const cases = counts.flatMap((clients) =>
      sizes.uploadBytes.map((bytes) => ({ clients, payloadBytes: Math.min(bytes, MAX_UPLOAD_BYTES - FRAME_BYTES) })),
    );
    const { result } = await context.run(
      'uploads',
      {
        urls: ids.map((id) => `ws://${network.addressOf(id)}:${CLIENT_PORT}`),
        ports: ids.map(portOf),
        hosts: Array.from({ length: most }, (_, i) => network.at(nodes + 1 + i)),
        nodeFlags: [],
        cases,
        modes: sizes.uploadModes,
        turns: sizes.uploadTurns,
        inFlightBytes: sizes.uploadInFlightBytes,
        warmUpSeconds: sizes.warmUpSeconds,
        seconds: sizes.seconds,
      },
      { wrapper: network.atSwitch, seconds: 120 + cases.length * sizes.uploadTurns * sizes.uploadModes.length * (60 + 4 * sizes.seconds) },
    );
    return cases.flatMap(({ clients, payloadBytes }) =>
      samplesOf(
        nodes,
        result.rows.filter((row) => row.clients === clients && row.payloadBytes === payloadBytes),
      ),
    );
  } finally {
    await Promise.all(servers.map((server) => server.end('SIGKILL')));
    await network.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const uploads: Scenario = {
  name: 'uploads',
  about: 'clients that put their messages on the followers themselves, beside relay, on links of 100 Mbit/s: MB/s committed',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const why = whyNoShapedNetwork();
    if (why !== undefined) {
      context.note(`uploads was not measured: ${why}`);
      return [];
    }
    const samples: Sample[] = [];
    for (const nodes of context.sizes.uploadNodes) samples.push(...(await measure(context, nodes)));
    return samples;
  },
};
