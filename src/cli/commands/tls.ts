// `loglog tls`: the authority of a cluster, and certificates for its nodes and its clients.

import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { LogError } from '../../core/errors.ts';
import { MAX_CLUSTER_NODES } from '../../core/limits.ts';
import { OPTIONS } from '../../core/options.ts';
import { addressOf } from '../../core/peers.ts';
import { AUTHORITY_DAYS, CERTIFICATE_DAYS } from '../../tls/defaults.ts';
import { isClientName, isClusterId, type NamedNode, NODE_FORM, parseNamedNode } from '../../tls/names.ts';
import { jsonOption, parseDays, withExamples } from '../arguments.ts';
import { print, printJson } from '../output.ts';
import { commandHere, quoted } from '../ownCommand.ts';
import { filesOf, makeFolder, readPair, refuseExisting, writePair } from '../tlsFiles.ts';

/** Clients of the same machine reach a node by these, too. */
const OWN_NAMES = ['localhost', '127.0.0.1', '::1'];
const MAX_DAYS = 36_500;
/** Ports in the lines to type next, which are those of docs/CLUSTER.md. */
const PORT = OPTIONS.port.default;
const PEER_PORT = PORT + 100;
/** Where the certificates are on the machines, in these lines. */
const CERTIFICATES = '/etc/loglog';

interface InitOptions {
  readonly nodes: readonly NamedNode[];
  readonly cluster?: string;
  readonly days: number;
  readonly json?: boolean;
}

interface IssueOptions {
  readonly node?: NamedNode;
  readonly client?: string;
  readonly days: number;
  readonly json?: boolean;
}

const hostsOf = ({ hosts }: NamedNode): readonly string[] => [...new Set([...hosts, ...OWN_NAMES])];

function namedNodes(text: string): readonly NamedNode[] {
  const nodes = text.split(',').map((node) => parseNamedNode(node, '--nodes'));
  if (new Set(nodes.map(({ nodeId }) => nodeId)).size < nodes.length) throw new InvalidArgumentError('Each node has an id of its own.');
  if (nodes.length > MAX_CLUSTER_NODES) throw new InvalidArgumentError(`A cluster has at most ${MAX_CLUSTER_NODES} nodes.`);
  return nodes.toSorted((a, b) => a.nodeId - b.nodeId);
}

function clusterId(text: string): string {
  if (!isClusterId(text))
    throw new InvalidArgumentError('It must be the id of a cluster, 32 hexadecimal digits in small letters, as loglog status shows it.');
  return text;
}

function clientName(text: string): string {
  if (!isClientName(text))
    throw new InvalidArgumentError('It must be 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first.');
  return text;
}

/** The line that starts a node with its certificate. */
function serveLine({ nodeId, hosts }: NamedNode, nodes: readonly NamedNode[]): string {
  const { certificate, key } = filesOf(CERTIFICATES, `node-${nodeId}`);
  const host = hosts[0] ?? '';
  const peers = nodes.map((node) => `${node.nodeId}=${addressOf(node.hosts[0] ?? '', PORT)}/${PEER_PORT}`).join(',');
  const where = nodes.length > 1 ? `--node ${nodeId} --peers ${peers}` : `--host ${host}`;
  const peerCa = nodes.length > 1 ? ` --peer-ca ${filesOf(CERTIFICATES, 'ca').certificate}` : '';
  return `loglog serve ${where} --data /var/lib/loglog --tls-cert ${certificate} --tls-key ${key}${peerCa} --tokens`;
}

async function runInit(
  folder: string,
  { nodes, cluster = randomBytes(16).toString('hex'), days, json = false }: InitOptions,
): Promise<void> {
  const ca = filesOf(folder, 'ca');
  const certified = nodes.map((node) => ({ node, files: filesOf(folder, `node-${node.nodeId}`) }));
  refuseExisting([ca, ...certified.map(({ files }) => files)]);
  // The library is for these two commands only.
  const { issueCertificate, makeAuthority, validFor } = await import('../../tls/authority.ts');
  const authority = await makeAuthority(cluster);
  makeFolder(folder);
  writePair(ca, authority);
  for (const { node, files } of certified) {
    const holder = { kind: 'node', clusterId: cluster, nodeId: node.nodeId } as const;
    writePair(files, await issueCertificate(authority, holder, hostsOf(node), validFor(days)));
  }
  if (json) {
    await printJson({ clusterId: cluster, authority: ca, nodes: certified.map(({ node, files }) => ({ nodeId: node.nodeId, ...files })) });
    return;
  }
  const lines = certified.map(({ node, files }) => {
    const host = node.hosts[0] ?? '';
    return `  on ${host}, with ${basename(files.certificate)}, ${basename(files.key)} and ca.crt in ${CERTIFICATES}:\n    ${serveLine(node, nodes)}`;
  });
  await print(`${folder} has the authority of cluster ${cluster}, which counts for ${AUTHORITY_DAYS} days, and a certificate for each node, for ${days} days
Keep ${ca.key} where no node is: who has it can be any node. Each node needs its own two files and ${ca.certificate}; clients need ${ca.certificate}

Type next:
${lines.join('\n')}
  for one more node, or a client:
    ${commandHere()} tls issue ${quoted(folder)} --node 4@HOST
    ${commandHere()} tls issue ${quoted(folder)} --client NAME`);
}

async function runIssue(folder: string, { node, client, days, json = false }: IssueOptions): Promise<void> {
  if ((node === undefined) === (client === undefined)) {
    throw new LogError('USAGE', `say for whom: --node ${NODE_FORM}, or --client NAME`);
  }
  const ca = filesOf(folder, 'ca');
  const files = filesOf(folder, node === undefined ? `client-${client}` : `node-${node.nodeId}`);
  refuseExisting([files]);
  const { issueCertificate, readAuthority, validFor } = await import('../../tls/authority.ts');
  const authority = readAuthority(readPair(ca), folder);
  const { clusterId } = authority;
  const validity = validFor(days);
  const pair =
    node === undefined
      ? await issueCertificate(authority, { kind: 'client', clusterId, name: client ?? '' }, [], validity)
      : await issueCertificate(authority, { kind: 'node', clusterId, nodeId: node.nodeId }, hostsOf(node), validity);
  writePair(files, pair);
  if (json) await printJson({ clusterId, ...(node === undefined ? { client } : { nodeId: node.nodeId }), ...files });
  else
    await print(
      `${files.certificate} and ${files.key} are for ${node === undefined ? `the client ${client}` : `node ${node.nodeId}`} of cluster ${clusterId}, for ${days} days`,
    );
}

function daysOption(): Option {
  return new Option('--days <days>', 'how long the certificates count').argParser(parseDays(MAX_DAYS)).default(CERTIFICATE_DAYS);
}

const FOLDER = 'folder with the authority of a cluster';

export function tlsCommand(): Command {
  const init = withExamples(
    new Command('init')
      .summary('make the authority of a cluster, and a certificate for each node')
      .description(
        'make the authority of a cluster, and a certificate for each of its nodes, in a folder. Nothing is overwritten; keys are for their owner alone',
      )
      .argument('<folder>', `${FOLDER}; made if it does not exist`)
      .addOption(
        new Option('--nodes <nodes>', `the nodes, with commas between them: ${NODE_FORM}, the names and addresses by which each is reached`)
          .argParser(namedNodes)
          .makeOptionMandatory(),
      )
      .addOption(new Option('--cluster <id>', 'id of a cluster that is there; without it, that of a new one').argParser(clusterId))
      .addOption(daysOption())
      .addOption(jsonOption('one JSON object'))
      .action(runInit),
    [
      ['loglog tls init certs --nodes 1@a,2@b,3@c', 'for a new cluster on the machines a, b and c'],
      ['loglog tls init certs --nodes 1@log.example.com/203.0.113.7', 'for a node alone that is reached by a name and an address'],
    ],
  );
  const issue = withExamples(
    new Command('issue')
      .summary('make one more certificate')
      .description('make a certificate for one more node, or for a client, with the authority that loglog tls init has made')
      .argument('<folder>', FOLDER)
      .addOption(new Option('--node <node>', `a node: ${NODE_FORM}`).argParser((text) => parseNamedNode(text, '--node')))
      .addOption(new Option('--client <name>', 'a client, by its name').argParser(clientName))
      .addOption(daysOption())
      .addOption(jsonOption('one JSON object'))
      .action(runIssue),
    [
      ['loglog tls issue certs --node 4@d', 'for node 4 on machine d'],
      ['loglog tls issue certs --client billing', 'for a client'],
    ],
  );
  return new Command('tls')
    .summary('make certificates for a cluster')
    .description('make certificates for the nodes of a cluster and for its clients')
    .addCommand(init)
    .addCommand(issue);
}
