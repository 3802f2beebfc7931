// `loglog cluster`: all nodes of a cluster on this machine, each a process of its own, started and stopped together.

import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { secretFlags } from '../../cluster/peerSecret.ts';
import { choosePeers, PEER_PORT_DISTANCE } from '../../cluster/ports.ts';
import { configure } from '../../core/config.ts';
import { asFlags } from '../../core/giving.ts';
import { MAX_CLUSTER_NODES } from '../../core/limits.ts';
import { flagOf, type OptionName } from '../../core/options.ts';
import type { Peer } from '../../core/peers.ts';
import { VERSION } from '../../node/version.ts';
import { lockDirectory } from '../../storage/lock.ts';
import { jsonOption, parseInteger, withExamples } from '../arguments.ts';
import { nodeCount, openClusterDirectory, readClusterFile, writeClusterFile } from '../cluster/clusterFile.ts';
import { ClusterLog } from '../cluster/clusterLog.ts';
import { ClusterRun } from '../cluster/clusterRun.ts';
import { EXIT, Quit } from '../exit.ts';
import { givenOptions, type NodeOptions, OPTION_NAMES, OWN_OPTIONS, optionOf } from '../nodeOptions.ts';
import { isBrokenPipe, printJson, table } from '../output.ts';
import { commandHere } from '../ownCommand.ts';
import { untilSignal } from '../signals.ts';

const DEFAULT_NODES = 3;
const DEFAULT_DATA = './cluster';
/** Times that other ports are chosen because somebody took one before its node could. */
const MAX_PORT_CHOICES = 5;

const SHARED = OPTION_NAMES.filter((name) => !OWN_OPTIONS.includes(name));

interface ClusterOptions extends Omit<NodeOptions, 'data' | 'port'> {
  readonly nodes?: number;
  readonly data: string;
  readonly port?: number;
  readonly json?: boolean;
}

/** The flags that all nodes get. A mistake in them is said once, not by every node. */
function sharedFlags(all: ClusterOptions, command: Command): readonly string[] {
  const shared = Object.fromEntries(SHARED.map((name) => [name, all[name as Exclude<OptionName, 'data' | 'port'>]])) as NodeOptions;
  const { options, callOf } = givenOptions(shared, command);
  configure(options, asFlags(callOf));
  const given = SHARED.map((name) => [name, options[name]] as const);
  return given.flatMap(([name, value]) => (value === undefined ? [] : [flagOf(name), value]));
}

async function announce(cluster: ClusterRun, log: ClusterLog, peers: readonly Peer[], json: boolean): Promise<void> {
  const nodes = cluster.listening;
  if (json) {
    await printJson({ nodes: nodes.map(({ peer, url, pid, data }) => ({ id: peer.id, url, peerPort: peer.peerPort, pid, data })) });
    return;
  }
  const rows = table([
    ['node', 'url', 'process', 'data'],
    ...nodes.map(({ peer, url, pid, data }) => [String(peer.id), url, String(pid), data]),
  ]);
  const count = nodes.length === peers.length ? `${peers.length} nodes listen` : `${nodes.length} of ${peers.length} nodes listen`;
  log.info(`
LogLog ${VERSION}: ${count}

${rows}

Type next, in another terminal:
  export LOGLOG_URL=${nodes.map(({ url }) => url).join()}
  ${commandHere()} status
  echo hello | ${commandHere()} append --lines
  ${commandHere()} tail

Ctrl-C stops all nodes. To see how the others go on without one, kill -9 its process.
`);
}

/** Where the nodes are to be: as the directory remembers, or at ports chosen now, which it will remember. */
async function placeNodes(directory: string, { nodes, port }: ClusterOptions): Promise<{ peers: readonly Peer[]; isFresh: boolean }> {
  const remembered = readClusterFile(directory);
  const count = nodeCount(directory, remembered, nodes, DEFAULT_NODES);
  if (remembered !== undefined && (port === undefined || port === remembered[0]?.port)) return { peers: remembered, isFresh: false };
  const peers = await choosePeers(count, port);
  writeClusterFile(directory, peers);
  return { peers, isFresh: port === undefined };
}

/** Waits until all nodes have ended, on their own or because they were told to. Returns the exit code. */
async function untilEnd(cluster: ClusterRun, log: ClusterLog, stop: Promise<string>): Promise<number> {
  const signal = await Promise.race([stop, cluster.ended]);
  if (signal === undefined) {
    log.info('no node is left');
    return EXIT.FAILURE;
  }
  log.info(`${signal}: stopping all nodes; a second signal kills them`);
  const unclean = await cluster.stop();
  log.info(unclean.length === 0 ? 'all nodes have stopped' : `all nodes have ended, but not all cleanly: ${unclean.join(', ')}`);
  return unclean.length === 0 ? EXIT.DONE : EXIT.FAILURE;
}

async function run(options: ClusterOptions, command: Command): Promise<void> {
  const { data, json = false } = options;
  const shared = sharedFlags(options, command);
  const directory = resolve(data);
  openClusterDirectory(directory);
  lockDirectory(directory);
  const flags = [...secretFlags(directory, shared), ...shared];
  const log = new ClusterLog(json);
  let cluster: ClusterRun | undefined;
  const stop = untilSignal(() => cluster?.kill());
  let { peers, isFresh } = await placeNodes(directory, options);
  for (let choices = 1; ; choices += 1) {
    const starting = new ClusterRun({ directory, peers, flags, isFresh: isFresh && choices < MAX_PORT_CHOICES, log });
    cluster = starting;
    const what = await Promise.race([
      starting.settled.then(() => 'settled' as const),
      starting.portTaken.then(() => 'portTaken' as const),
      stop.then(() => 'stop' as const),
    ]);
    if (what === 'portTaken') {
      log.info('another program took a port meanwhile: all nodes start again on other ones');
      await starting.stop();
      peers = await choosePeers(peers.length, undefined);
      writeClusterFile(directory, peers);
      continue;
    }
    if (what === 'settled' && starting.listening.length > 0) {
      await announce(starting, log, peers, json).catch((thrown: unknown) => {
        // Nobody reads the announcement: the nodes are there all the same.
        if (!isBrokenPipe(thrown)) throw thrown;
      });
    }
    throw new Quit(await untilEnd(starting, log, stop));
  }
}

export function clusterCommand(): Command {
  const command = new Command('cluster')
    .summary('run all nodes of a cluster on this machine')
    .description(
      `run all nodes of a cluster on this machine, each a process with its log lines marked by its number. They prove a secret to each other, which is made in the directory. Their ports are remembered in its cluster.json. Ctrl-C or SIGTERM stops all: exit code 0 when each that still ran stopped cleanly, 1 when one did not or when no node is left`,
    )
    .addOption(
      new Option('--nodes <number>', `number of nodes, 1 to ${MAX_CLUSTER_NODES} (default ${DEFAULT_NODES}, or as remembered)`).argParser(
        parseInteger(1, MAX_CLUSTER_NODES),
      ),
    )
    .addOption(new Option('--data <directory>', 'directory that holds a data directory for each node').default(DEFAULT_DATA))
    .addOption(
      new Option(
        '--port <base>',
        `port of node 1 for clients; node 2 has the next one, and so on; ${PEER_PORT_DISTANCE} above are those for the other nodes (default any free ones, or as remembered)`,
      ).argParser(parseInteger(1, 65_535 - PEER_PORT_DISTANCE - MAX_CLUSTER_NODES)),
    );
  for (const name of SHARED) command.addOption(optionOf(name));
  command.addOption(jsonOption('one JSON line on stdout when all nodes listen, and logs in JSON')).action(run);
  return withExamples(command, [
    ['loglog cluster', 'three nodes on free ports, data in ./cluster'],
    ['loglog cluster --port 7070', 'on 7070, 7071 and 7072: commands find node 1 without --url'],
    ['loglog cluster --nodes 5 --data /tmp/five', 'five nodes'],
    ['loglog cluster --election-timeout-ms 300', 'all options of serve go to every node'],
  ]);
}
