// A node for the length of one command: a process of its own, on a free port, with its data in a new directory that goes with it.

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ChildNode } from '../cluster/childNode.ts';
import { serveArgs } from '../cluster/program.ts';
import { LogError } from '../core/errors.ts';
import { nodeEnvironment } from './nodeOptions.ts';
import { onSignals, SIGNAL_NUMBERS } from './signals.ts';

/** Runs `work` with the address of a node of its own, whose data is below `parent`. However that ends, the node and its data are gone then. */
export async function withOwnNode<T>(parent: string, work: (url: string) => Promise<T>): Promise<T> {
  const directory = makeDirectory(parent);
  const removeData = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const node = new ChildNode({
    args: serveArgs(['--port', '0', '--data', join(directory, 'data')]),
    nodeFlags: process.execArgv,
    environment: nodeEnvironment(),
  });
  // Also after Ctrl-C. Somebody who kills this command has the node stopped by the pipe that closes; its files stay then.
  const onExit = (): void => {
    node.signal('SIGKILL');
    removeData();
  };
  process.once('exit', onExit);
  onSignals((signal) => process.exit(128 + SIGNAL_NUMBERS[signal]));
  try {
    const ready = await node.ready;
    if (ready === undefined) {
      const { lastLines } = await node.ended;
      throw new LogError(
        'IO',
        `the node that this command starts for itself ended before it was ready:\n${lastLines.join('\n')}`,
        {},
        'failed',
      );
    }
    return await work(ready.url);
  } finally {
    node.signal('SIGTERM');
    await node.ended;
    process.off('exit', onExit);
    removeData();
  }
}

function makeDirectory(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'loglog-bench-'));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError(
      'IO',
      `no directory can be made below ${parent} (${why}): name another one with --data, or a node with --url`,
      {},
      'failed',
    );
  }
}
