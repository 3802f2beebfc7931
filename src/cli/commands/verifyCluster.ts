// `loglog verify --cluster`: whether all nodes have the same log, and the one that it says it is. Online; changes nothing.

import { Workspace } from '../../client/wasm.ts';
import { LogError } from '../../core/errors.ts';
import { type ComparedNode, type Comparison, compareNodes, type NodeComparison } from '../comparison.ts';
import { EXIT, Quit } from '../exit.ts';
import { fetchStatus } from '../nodeStatus.ts';
import { grouped, print, printJson, readableBytes, say } from '../output.ts';
import { Progress, percent } from '../progress.ts';

/** Which log it is, and who the nodes are, by the first of `urls` that answers. */
async function nodesOf(
  urls: readonly string[],
  timeoutMs: number,
): Promise<{ readonly clusterId: string; readonly nodes: readonly ComparedNode[] }> {
  let last: unknown;
  for (const url of urls) {
    try {
      const { clusterId, cluster } = await fetchStatus(url, timeoutMs);
      // A node alone knows only where it listens, which may be something else from here.
      const isAlone = cluster.nodes.length === 1;
      return { clusterId, nodes: cluster.nodes.map((node) => ({ id: node.id, url: isAlone ? url : node.url })) };
    } catch (thrown) {
      last = thrown;
    }
  }
  throw last;
}

function rowOf({ id, url, bytes, reason, wrong }: NodeComparison): string {
  const who = `node ${id} (${url})`;
  if (reason !== null) return `${who}: not compared: ${reason}`;
  if (wrong.length === 0) return `${who}: the same, ${readableBytes(bytes)} read`;
  const parts = wrong.map(({ base, end, sentence }) => `  [${base}, ${end}) ${sentence}`);
  return [`${who}: ${grouped(wrong.length)} ${wrong.length === 1 ? 'part differs' : 'parts differ'}`, ...parts].join('\n');
}

function describe({ start, end, sealedEnd, nodes }: Comparison, seconds: number): string {
  const bytes = nodes.reduce((sum, node) => sum + node.bytes, 0);
  const against = sealedEnd > start ? `up to ${sealedEnd} with what the log says, from there on with each other` : 'with each other';
  const head = `the log from offset ${start} to ${end}, compared ${against} (${readableBytes(bytes)} in ${seconds.toFixed(2)} s)`;
  return [head, ...nodes.map(rowOf)].join('\n');
}

export async function verifyCluster(urls: readonly string[], timeoutMs: number, json: boolean): Promise<void> {
  const { clusterId, nodes } = await nodesOf(urls, timeoutMs);
  const progress = new Progress();
  const comparison = await compareNodes(clusterId, nodes, {
    workspace: await Workspace.create(0),
    timeoutMs,
    onProgress: (done, total) =>
      progress.update(
        () => `${percent(done, total)}  ${readableBytes(done)} of ${readableBytes(total)}  ${readableBytes(done / progress.seconds)}/s`,
      ),
  });
  progress.done();
  const isWrong = comparison.nodes.some(({ wrong }) => wrong.length > 0);
  const missing = comparison.nodes.filter(({ reason }) => reason !== null);
  if (json) await printJson({ ok: !isWrong && missing.length === 0, ...comparison, seconds: progress.seconds });
  else await print(describe(comparison, progress.seconds));
  if (isWrong) {
    say('loglog: the nodes differ, or one of them is damaged: see OPERATIONS.md, Damage');
    throw new Quit(EXIT.DAMAGE);
  }
  if (missing.length > 0) {
    throw new LogError('UNREACHABLE', `${grouped(missing.length)} of ${grouped(comparison.nodes.length)} nodes could not be compared`);
  }
}
