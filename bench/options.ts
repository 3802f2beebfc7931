// The bench's command line.

import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { OPTIONS } from '../src/core/options.ts';
import { LANE_RING_BYTES } from './load/lane.ts';
import { INDEX_BYTES, slotsOf } from './load/numbered.ts';
import type { UploadsMode } from './load/types.ts';
import type { Sizes } from './sample.ts';
import type { Scenario } from './scenario.ts';
import { appendBatches } from './scenarios/appendBatches.ts';
import { SYSTEMS } from './systems/find.ts';
import { loglog, loglog3, systemsBefore } from './systems/loglog.ts';
import { CLUSTER_NODES, type System } from './systems/system.ts';

/** Rounds with --before: as many say of a median where it is with more than 90 %. */
const PAIRS = 11;

/** What is measured beside an earlier build. */
const OWN: readonly System[] = [loglog, loglog3];

const UPLOADS_MODES: readonly UploadsMode[] = ['off', 'on', 'auto'];
/** Nodes of a cluster, at most. */
const MAX_PEERS = 7;

export interface BenchOptions {
  readonly scenarios: readonly Scenario[];
  readonly runs: number;
  /** File for the JSON report; `-` is stdout. */
  readonly json: string | undefined;
  /** File for the HTML page. */
  readonly html: string | undefined;
  /** File with the place that the results are written into, as Markdown. */
  readonly markdown: string | undefined;
  /** JSON report of an earlier run, which is reported again instead of a new one. */
  readonly from: string | undefined;
  /** Where the bench's own temporary folder is made. */
  readonly directory: string | undefined;
  readonly profile: string | undefined;
  /** Folder of the build that this one is compared with. */
  readonly before: string | undefined;
  /** How long to wait before each run for other processes to leave the machine; 0: not at all. */
  readonly patienceSeconds: number;
  /** What the scenarios measure that take all systems, where it is installed. */
  readonly systems: readonly System[];
  readonly sizes: Sizes;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

/** A payload has room for its number. */
function payload(text: string): number {
  const value = count(text);
  if (value < INDEX_BYTES) throw new InvalidArgumentError(`It must be ${INDEX_BYTES} or more.`);
  return value;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number of 1 or more.');
  return value;
}

/** Numbers with commas between them. */
function payloads(text: string): number[] {
  return text.split(',').map(payload);
}

function counts(text: string): number[] {
  return text.split(',').map(count);
}

function nodes(text: string): number[] {
  const chosen = counts(text);
  if (chosen.some((each) => each !== 1 && each !== CLUSTER_NODES))
    throw new InvalidArgumentError(`It must be 1, ${CLUSTER_NODES} or both.`);
  return chosen;
}

/** `nodes` among them, as many as there are nodes, is 0. */
function clients(text: string): number[] {
  return text.split(',').map((each) => (each.trim() === 'nodes' ? 0 : count(each)));
}

function modes(text: string): UploadsMode[] {
  return text.split(',').map((each) => {
    const mode = UPLOADS_MODES.find((known) => known === each.trim());
    if (mode === undefined) throw new InvalidArgumentError(`It must be some of ${UPLOADS_MODES.join(', ')}.`);
    return mode;
  });
}

function clusters(text: string): number[] {
  const chosen = counts(text);
  if (chosen.some((each) => each < 2 || each > MAX_PEERS)) throw new InvalidArgumentError(`It must be 2 to ${MAX_PEERS}.`);
  return chosen;
}

function systems(text: string): readonly System[] {
  const ids = text.split(',').map((id) => id.trim());
  const unknown = ids.filter((id) => !SYSTEMS.some((system) => system.id === id));
  if (unknown.length > 0) throw new InvalidArgumentError(`No system is called ${unknown.join(', ')}.`);
  return SYSTEMS.filter(({ id }) => ids.includes(id));
}

interface Flags {
  readonly runs?: number;
  readonly json?: string;
  readonly html?: string;
  readonly markdown?: string;
  readonly from?: string;
  readonly dir?: string;
  readonly profile?: string;
  readonly quick?: boolean;
  readonly patience?: number;
  readonly systems?: readonly System[];
  readonly before?: string;
  readonly check?: boolean;
  readonly entries?: number;
  readonly seconds?: number;
  readonly warmUp?: number;
  readonly small: number;
  readonly large: number;
  readonly connections: number;
  readonly entrySizes: readonly number[];
  readonly batches: readonly number[];
  readonly nodes: readonly number[];
  readonly rates: readonly number[];
  readonly subscribers: readonly number[];
  readonly fanOutRate: number;
  readonly mixedRate: number;
  readonly restartEntries?: number;
  readonly restartSizes: readonly number[];
  readonly hotReaders: number;
  readonly hotEntries?: number;
  readonly coldEntries?: number;
  readonly logBytes?: number;
  readonly catchUpBytes?: number;
  readonly failovers?: number;
  readonly transfers?: number;
  readonly stability?: number;
  readonly storm: number;
  readonly growthConnections?: number;
  readonly growthSubscribers?: number;
  readonly uploadNodes: readonly number[];
  readonly uploadClients: readonly number[];
  readonly uploadSizes: readonly number[];
  readonly uploadModes: readonly UploadsMode[];
  readonly uploadTurns: number;
  readonly uploadInFlight: number;
  readonly uploadMegabits: number;
  readonly uploadQueueMs: number;
  readonly electionTimeoutMs: number;
  readonly windowBytes: number;
  readonly segmentBytes: number;
  readonly slots: number;
}

function makeCommand(scenarios: readonly Scenario[]): Command {
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  const list = scenarios.map(({ name, about, takes }) => `  ${name.padEnd(width)}${takes === 'all' ? ' *' : '  '} ${about}`).join('\n');
  return new Command('npm run bench --')
    .description(
      'Measures LogLog, other systems beside it, and the limits of the machine under them in the same rounds. Load comes from other processes.',
    )
    .argument('[names...]', 'scenarios to run (default: all)')
    .option('--runs <n>', 'rounds; each runs every scenario once, and medians are taken over them (default: 3)', count)
    .option(
      '--quick',
      'one round, unless --runs says more, with short measurements and small logs: shows that all works, not how fast it is',
    )
    .option('--json <file>', 'write everything as JSON to a file, or to stdout with -')
    .option('--html <file>', 'write the report as one HTML page that needs no network')
    .option('--markdown <file>', 'write the results into the place for them in this file, which stays otherwise as it is')
    .option('--from <file>', 'measure nothing: report what --json wrote earlier')
    .option('--dir <folder>', 'make the temporary folder here (default: the system folder for temporary files)')
    .option('--seconds <s>', 'length of each measurement (default: 3)', positive)
    .option('--warm-up <s>', 'load before each measurement (default: 2)', positive)
    .option('--patience <s>', 'wait up to this long before each run until other processes leave the machine (default: 0)', positive)
    .option('--systems <ids>', `what to measure: ${SYSTEMS.map(({ id }) => id).join(',')} (default: all that are installed)`, systems)
    .option(
      '--before <folder>',
      `measure LogLog beside the build in another checkout, in ${PAIRS} rounds, and say how they compare; --nodes and --systems choose as ever`,
    )
    .option(
      '--check',
      'read back everything that was appended and compare it; a mismatch is an error (cluster-stability needs disk for all)',
    )
    .option('--entries <n>', 'entries of each append measurement, instead of a time', count)
    .option('--small <bytes>', 'payload of a small entry', payload, 100)
    .option('--large <bytes>', 'payload of a large entry', payload, 100_000)
    .option('--connections <n>', 'connections of many-connections', count, 64)
    .option('--entry-sizes <bytes,…>', 'payload sizes of append-sizes', payloads, [100, 1024, 100_000])
    .option('--batches <n,…>', 'entries of each batch of append-batches', counts, [1, 10, 100, 1000])
    .option('--nodes <n,…>', 'one node, a cluster of three, or both, where a scenario can measure either', nodes, [1, CLUSTER_NODES])
    .option('--rates <n,…>', 'entries a second of open-loop', counts, [1000, 10_000, 100_000])
    .option('--subscribers <n,…>', 'subscribers of fan-out', counts, [1, 10, 100])
    .option('--fan-out-rate <n>', 'entries a second while fan-out times deliveries', count, 1000)
    .option('--restart-entries <n>', 'entries of the logs that restart-idle starts on (default: 200000)', count)
    .option('--restart-sizes <bytes,…>', 'payloads of those entries', payloads, [100])
    .option('--mixed-rate <n>', 'entries a second that mixed appends beside its readers', count, 10_000)
    .option('--hot-readers <n>', 'consumers in mixed that read what is newest', count, 2)
    .option('--hot-entries <n>', 'entries of a hot read (default: 400000)', count)
    .option('--cold-entries <n>', 'entries of a cold read (default: 3000000)', count)
    .option('--log-bytes <n>', 'size of the log that is restarted on (default: 4e9)', count)
    .option('--catch-up-bytes <n>', 'size of the log that an empty follower catches up with (default: 2e9)', count)
    .option('--failovers <n>', 'times that a leader is killed in each run (default: 10)', count)
    .option('--transfers <n>', 'times that the office is handed over in each run of cluster-members (default: 100)', count)
    .option('--stability <s>', 'length of the full load under which no node may call an election (default: 20; 600 shows it)', positive)
    .option('--storm <n>', 'connections that storm one node of a cluster at once', count, 1000)
    .option('--growth-connections <n>', 'connections that take turns in growth (default: 10000)', count)
    .option('--growth-subscribers <n>', 'subscribers in growth (default: 1000)', count)
    .option('--upload-nodes <n,…>', 'nodes of the clusters of uploads', clusters, [3, 5])
    .option('--upload-clients <n,…>', 'clients of uploads; "nodes": as many as nodes', clients, [1, 0])
    .option('--upload-sizes <bytes,…>', 'sizes of the messages of uploads', payloads, [65_536, 1_048_576])
    .option('--upload-modes <off,on,auto>', 'what the clients of uploads do, in turn', modes, UPLOADS_MODES)
    .option('--upload-turns <n>', 'times that each has its turn, in each round', count, 1)
    .option('--upload-in-flight <bytes>', 'what each client has in flight; two messages at least', count, 2_097_152)
    .option('--upload-megabits <n>', 'Mbit/s of each link of uploads, in each direction', positive, 100)
    .option('--upload-queue-ms <ms>', 'how long a packet may wait at a link', positive, 50)
    .option('--election-timeout-ms <ms>', 'option of the nodes of a cluster', count, OPTIONS.electionTimeoutMs.default)
    .option('--window-bytes <n>', 'option of the node', count, OPTIONS.windowBytes.default)
    .option('--segment-bytes <n>', 'option of the node', count, OPTIONS.segmentBytes.default)
    .option('--slots <n>', 'option of the node', count, OPTIONS.slots.default)
    .option('--profile <folder>', 'write CPU profiles of all nodes and loads there; the numbers are then slower')
    .addHelpText('after', `\nScenarios; those with * measure every system of --systems, the others LogLog alone:\n${list}`);
}

/** Why batches cannot be made, in a sentence: the entries of one must all be there at once. Undefined when they can. */
export function whyTooLarge(batches: readonly number[], payloadBytes: number): string | undefined {
  const most = slotsOf(payloadBytes, LANE_RING_BYTES);
  const largest = Math.max(...batches);
  if (largest <= most) return undefined;
  return `--batches ${largest} is too much for --small ${payloadBytes}: a batch of such entries has ${most} at most`;
}

/** Reads the command line; ends the process with a sentence when it cannot be meant. */
export function parseOptions(scenarios: readonly Scenario[], argv: readonly string[] = process.argv): BenchOptions {
  const command = makeCommand(scenarios).parse(argv);
  const names = command.args;
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) command.error(`error: no scenario is called ${unknown.join(', ')}; --help lists them`, { exitCode: 2 });
  const flags = command.opts<Flags>();
  const quick = flags.quick === true;
  const chosen = names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name));
  const refusal = chosen.includes(appendBatches) ? whyTooLarge(flags.batches, flags.small) : undefined;
  if (refusal !== undefined) command.error(`error: ${refusal}`, { exitCode: 2 });
  return {
    scenarios: chosen,
    runs: flags.runs ?? (flags.before !== undefined ? PAIRS : quick ? 1 : 3),
    json: flags.json,
    html: flags.html,
    markdown: flags.markdown,
    from: flags.from,
    directory: flags.dir,
    profile: flags.profile,
    before: flags.before,
    patienceSeconds: flags.patience ?? 0,
    systems: flags.before === undefined ? (flags.systems ?? SYSTEMS) : [...(flags.systems ?? OWN), ...systemsBefore(resolve(flags.before))],
    sizes: {
      smallBytes: flags.small,
      largeBytes: flags.large,
      connections: flags.connections,
      entryBytes: flags.entrySizes,
      batches: flags.batches,
      nodes: flags.nodes,
      rates: flags.rates,
      subscribers: flags.subscribers,
      fanOutRate: flags.fanOutRate,
      mixedRate: flags.mixedRate,
      hotReaders: flags.hotReaders,
      seconds: flags.seconds ?? (quick ? 0.5 : 3),
      warmUpSeconds: flags.warmUp ?? (quick ? 0.5 : 2),
      entries: flags.entries ?? 0,
      hotEntries: flags.hotEntries ?? (quick ? 100_000 : 400_000),
      coldEntries: flags.coldEntries ?? (quick ? 600_000 : 3_000_000),
      logBytes: flags.logBytes ?? (quick ? 200e6 : 4e9),
      catchUpBytes: flags.catchUpBytes ?? (quick ? 200e6 : 2e9),
      failovers: flags.failovers ?? (quick ? 2 : 10),
      transfers: flags.transfers ?? (quick ? 5 : 100),
      stabilitySeconds: flags.stability ?? (quick ? 2 : 20),
      stormConnections: flags.storm,
      growthConnections: flags.growthConnections ?? (quick ? 500 : 10_000),
      growthSubscribers: flags.growthSubscribers ?? (quick ? 50 : 1000),
      restartEntries: flags.restartEntries ?? (quick ? 50_000 : 200_000),
      restartBytes: flags.restartSizes,
      uploadNodes: flags.uploadNodes,
      uploadClients: flags.uploadClients,
      uploadBytes: flags.uploadSizes,
      uploadModes: flags.uploadModes,
      uploadTurns: flags.uploadTurns,
      uploadInFlightBytes: flags.uploadInFlight,
      uploadMegabits: flags.uploadMegabits,
      uploadQueueMs: flags.uploadQueueMs,
      isChecked: flags.check === true,
      electionTimeoutMs: flags.electionTimeoutMs,
      windowBytes: flags.windowBytes,
      segmentBytes: flags.segmentBytes,
      slots: flags.slots,
    },
  };
}
