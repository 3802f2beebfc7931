// `loglog init`: makes an empty directory the one that a cluster begins with, without asking the other nodes whether they have its log.

import { randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { configure } from '../../core/config.ts';
import { LogError } from '../../core/errors.ts';
import { asFlags } from '../../core/giving.ts';
import { formatNodes } from '../../core/nodeSet.ts';
import { formatPeers } from '../../core/peers.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES, type Identity, readIdentity } from '../../storage/dataDirectory.ts';
import { lockDirectory } from '../../storage/lock.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { type Holder, holderOfCertificate } from '../../tls/names.ts';
import { jsonOption, withExamples } from '../arguments.ts';
import { configOption } from '../configFile.ts';
import { type ConfigOptions, givenOptions, optionOf } from '../nodeOptions.ts';
import { print, printJson } from '../output.ts';
import { commandHere } from '../ownCommand.ts';

interface InitOptions extends ConfigOptions {
  readonly data?: string;
  readonly node?: string;
  readonly peers?: string;
  readonly peerCert?: string;
  readonly json?: boolean;
}

/** Makes `directory` the founder's. Throws a LogError when anything is in it. */
function found(directory: string, nodeId: number, nodes: readonly number[], founds: string | undefined): Identity {
  const disk = new NodeDisk();
  const refuseUsed = (): void => {
    const used = readIdentity(disk, directory);
    if (used === undefined) return;
    throw new LogError(
      'USAGE',
      `${directory} is the data directory of node ${used.nodeId} of cluster ${used.clusterId} already; nothing was changed: start it with loglog serve, or name an empty directory`,
    );
  };
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  refuseUsed();
  lockDirectory(directory);
  refuseUsed();
  return createIdentity(disk, directory, randomBytes(IDENTITY_RANDOM_BYTES), {
    nodeId,
    nodes,
    ...(founds === undefined ? {} : { founds }),
  });
}

/** The cluster that the certificate of node `nodeId` in `file` names. Throws a LogError `USAGE` where it is another node's. */
function certifiedCluster(file: string, nodeId: number, called: string): string {
  let holder: Holder | undefined;
  try {
    holder = holderOfCertificate(new X509Certificate(readFileSync(file)));
  } catch (thrown) {
    throw new LogError('USAGE', `${called} ${file} cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  if (holder?.kind === 'node' && holder.nodeId === nodeId) return holder.clusterId;
  throw new LogError('USAGE', `${called} ${file} is not the certificate of node ${nodeId}`);
}

async function run({ json = false, ...given }: InitOptions, command: Command): Promise<void> {
  const { options, callOf } = givenOptions(given, command, true);
  const { peerCert, ...others } = options;
  const { data, node, peers } = configure(others, asFlags(callOf));
  if (peers.length < 2) {
    throw new LogError('USAGE', `loglog init begins a cluster: name all of its nodes with --peers; a node alone needs no init`);
  }
  const nodes = peers.map(({ id }) => id);
  const { clusterId } = found(
    resolve(data),
    node,
    nodes,
    peerCert === undefined ? undefined : certifiedCluster(peerCert, node, callOf('peerCert')),
  );
  if (json) {
    await printJson({ data: resolve(data), clusterId, nodeId: node, nodes });
    return;
  }
  await print(`${resolve(data)} is now the data directory of node ${node}, which begins cluster ${clusterId} of the nodes ${formatNodes(nodes)}
The others join it with empty directories. One that has a log of this cluster refuses this node: then remove ${resolve(data)}, and start node ${node} without init

Type next:
  ${commandHere()} serve --node ${node} --peers ${formatPeers(peers)} --data ${data}`);
}

export function initCommand(): Command {
  const command = new Command('init')
    .summary('begin a cluster with an empty directory, although not all nodes are there yet')
    .description(
      'make an empty directory the one that a cluster begins with. Needed only when not all nodes can be started: otherwise they find out together that none has a log, and begin. Never for a node that lost its disk while others have the log: it joins them again without init',
    );
  command.addOption(configOption());
  for (const name of ['data', 'node', 'peers', 'peerCert'] as const) command.addOption(optionOf(name));
  command.addOption(jsonOption('one JSON object')).action(run);
  return withExamples(command, [
    [
      'loglog init --data /var/lib/loglog --node 1 --peers 1=a:7070/7170,2=b:7070/7170,3=c:7070/7170',
      'on machine a, while c is not there yet',
    ],
  ]);
}
