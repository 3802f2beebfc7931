// The networks of the bench: that none outlives the process that made it, and that the machine's own interfaces are not touched.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { whyNoShapedNetwork } from '../../bench/network/shapedNetwork.ts';
import { compiled } from '../../bench/processes/processes.ts';

const why = whyNoShapedNetwork();

/** Makes a network of two hosts, runs a server on one that ends with its standard input, and says what it has made. */
const OWNER = `
  import { execFileSync, spawn } from 'node:child_process';
  const { ShapedNetwork } = await import(${JSON.stringify(compiled('./network/shapedNetwork.js'))});
  const network = await ShapedNetwork.make({ hosts: 2, megabitsPerSecond: 8, queueMs: 50 });
  const run = (wrapper, ...command) => execFileSync(wrapper[0], [...wrapper.slice(1), ...command], { encoding: 'utf8' });
  const [first, ...rest] = network.at(1);
  const guest = spawn(first, [...rest, 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const shapes = [network.at(1), network.at(2), network.atSwitch].map((at) => run(at, 'tc', 'qdisc', 'show'));
  console.log(JSON.stringify({ shapes, guest: guest.pid, holders: network.holders }));
  process.stdin.resume();
  process.stdin.on('end', async () => {
    guest.stdin.end();
    await network.close();
    process.exit(0);
  });
`;

/** The network namespace of a process; undefined when it has ended. */
function namespaceOf(pid: number): string | undefined {
  try {
    // A zombie is in none.
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function ownInterfaces(): string[] {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
  return lines.map((line) => line.split(':')[0]?.trim() ?? '').filter((name) => name !== '');
}

interface Made {
  readonly shapes: readonly string[];
  readonly guest: number;
  readonly holders: readonly number[];
}

async function make(): Promise<{ readonly owner: ReturnType<typeof spawn>; readonly made: Made }> {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (owner.stdout === null) throw new Error('no pipe');
  const [line] = (await once(owner.stdout, 'data')) as [Buffer];
  return { owner, made: JSON.parse(line.toString()) as Made };
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some((pid) => namespaceOf(pid) !== undefined)) await sleep(10);
}

const networks = (): void => {
  it('limits each link in both directions, with nothing beside the interfaces of the machine', async () => {
    const before = ownInterfaces();
    const { owner, made } = await make();
    expect(ownInterfaces()).toEqual(before);
    const [one = '', two = '', middle = ''] = made.shapes;
    expect(one).toMatch(/tbf .*dev eth0 .*rate 8Mbit/);
    expect(two).toMatch(/tbf .*dev eth0 .*rate 8Mbit/);
    expect(middle).toMatch(/dev p1 .*rate 8Mbit[\s\S]*dev p2 .*rate 8Mbit/);
    const here = namespaceOf(process.pid);
    const namespaces = made.holders.map(namespaceOf);
    expect(new Set([here, ...namespaces]).size).toBe(4);
    expect(namespaceOf(made.guest)).toBe(namespaces[1]);
    owner.stdin?.end();
    await once(owner, 'exit');
    await untilGone([...made.holders, made.guest]);
    expect(ownInterfaces()).toEqual(before);
  });

  it('is gone with a process that is killed in the middle', async () => {
    const before = ownInterfaces();
    const { owner, made } = await make();
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    await untilGone([...made.holders, made.guest]);
    expect(ownInterfaces()).toEqual(before);
  });
};

if (why === undefined) describe('a network of its own', networks);
else {
  it(`says in a clause why there can be none here: ${why}`, () => {
    expect(why).toMatch(/^[a-z].*[^.]$/);
  });
}
