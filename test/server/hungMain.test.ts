// A2: a node whose main thread does not answer, whatever the cause. Its raft thread goes on, so the others would follow it for ever.

import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, LogError } from '../../src/client/index.ts';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LocalCluster, type LocalClusterOptions } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { StoppedMain } from '../support/stoppedMain.ts';
import { makeDirectory } from './support/fixture.ts';

/** Processes on a machine that has other things to do as well. */
const timeout = 180_000;

interface Stoppable {
  readonly cluster: LocalCluster;
  /** Stands the node's main thread still; resolves when it does. */
  stop(node: ClusterNode): Promise<void>;
  resume(node: ClusterNode): void;
}

async function start(options: Partial<LocalClusterOptions> = {}): Promise<Stoppable> {
  const directory = makeDirectory();
  const stopped = new StoppedMain(directory);
  const cluster = await LocalCluster.make({ nodes: 3, directory, nodeFlags: stopped.nodeFlags, ...options });
  onTestFinished(() => cluster.close());
  await cluster.start();
  await cluster.converged();
  return {
    cluster,
    stop: async (node) => {
      const pid = node.pid ?? 0;
      stopped.stop(pid);
      await until('for the main thread to stand still', () => stopped.stands(pid));
    },
    resume: (node) => stopped.resume(node.pid ?? 0),
  };
}

/** What the log says, by message. */
function said(node: ClusterNode): string[] {
  const lines = node.log().split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => (JSON.parse(line) as { msg: string }).msg);
}

describe('a main thread that does not answer', { timeout }, () => {
  test('of the leader of three: another one leads, a client appends on, and nothing is lost when it answers again', async () => {
    const { cluster, stop, resume } = await start();
    const first = await cluster.leader();
    const client = await connect(cluster.urls);
    onTestFinished(() => client.close());
    const known: string[] = [];
    const surelyNot: string[] = [];
    const append = async (text: string): Promise<boolean> => {
      try {
        await client.append(new TextEncoder().encode(text));
        known.push(text);
        return true;
      } catch (thrown) {
        if (!(thrown instanceof LogError)) throw thrown;
        if (thrown.outcome === 'failed') surelyNot.push(text);
        return false;
      }
    };
    expect(await append('before')).toBe(true);
    await stop(first);
    // On its way to a node that does not answer: in the end it is known to be there, or not to be, or not known.
    const pending = append('meanwhile');
    const second = await cluster.leader(first);
    let count = 0;
    await until('for an append to be committed by the next leader', async () => append(`after ${count++}`), 60_000);
    await pending;
    resume(first);
    await cluster.converged();
    const status = await first.status();
    expect(status?.node.role).toBe('follower');
    expect((await second.status())?.node.term).toBe(status?.node.term);
    const texts: string[] = [];
    for await (const { payload } of client.read()) texts.push(new TextDecoder().decode(payload));
    expect(texts.filter((text) => known.includes(text))).toEqual(known);
    expect(texts.filter((text) => surelyNot.includes(text))).toEqual([]);
    expect(await append('at last')).toBe(true);
    const words = said(first).filter((text) => text.includes('the main thread'));
    expect(words[0]).toMatch(
      /has not answered for \d+\.\d s, so that no client is served: this node hands its leadership over as soon as it hears a node that can lead/,
    );
    expect(words[1]).toMatch(/answers again, after \d+\.\d s; node \d leads/);
    expect(words.length).toBe(2);
    expect(cluster.surprises).toEqual([]);
  });

  test('of a process that is killed while it hangs: its last line says that it hung', async () => {
    const { cluster, stop } = await start({ nodes: 1 });
    const node = cluster.node(1);
    await stop(node);
    await until('for the line, while it hangs', () => said(node).some((text) => text.includes('the main thread')));
    await node.kill();
    expect(said(node).at(-1)).toContain('has not answered for');
  });

  test('of a node alone: it says so once, and once more when it is over', async () => {
    const { cluster, stop, resume } = await start({ nodes: 1 });
    const node = cluster.node(1);
    await stop(node);
    // The raft thread counts its own heartbeats for 3 s, and says so without the main thread.
    await until('for the line, while it hangs', () => said(node).some((text) => text.includes('the main thread')));
    resume(node);
    await until('for both lines', () => said(node).filter((text) => text.includes('the main thread')).length === 2);
    const words = said(node).filter((text) => text.includes('the main thread'));
    expect(words[0]).toMatch(/has not answered for \d+\.\d s, so that no client is served; there is no other node/);
    expect(words[1]).toMatch(/answers again, after \d+\.\d s; this node leads/);
    const metrics = await (await fetch(`http://127.0.0.1:${node.port}/metrics`)).text();
    expect(metrics).toContain('loglog_event_loop_hangs_total 1');
    // It counts from when the next bump was due, up to 0.25 s after the last one, and 3 s of heartbeats were counted from before that.
    expect(Number(/^loglog_event_loop_late_seconds_total (\S+)/m.exec(metrics)?.[1])).toBeGreaterThan(2);
  });
});
