// A network of its own for a scenario: each host in a network namespace, a switch between them in another one, and every link limited in both
// directions, as a cable to a switch is.
//
//     host 1   eth0 ══ p1 ┐                  tbf on eth0: what the host sends
//     host 2   eth0 ══ p2 ┼ br0 (switch)     tbf on p1, p2, …: what it is sent
//     host 3   eth0 ══ p3 ┘
//
// The namespaces have no names: each is there as long as a process is in it. One process for each holds it, and ends when its standard input does,
// so that all of it is gone with this process, however that ends. No interface of the machine itself is touched, and none is made beside them.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface ShapedPlan {
  readonly hosts: number;
  /** Of each link, in each direction. */
  readonly megabitsPerSecond: number;
  /** How long a packet may wait at a link before it is dropped. */
  readonly queueMs: number;
}

const PREFIX = '10.77.0.';
const SWITCH_ADDRESS = 254;
const MAX_HOSTS = 200;
/** What a link may send at once: at least the largest packet that a host hands down in one piece, else each is cut by the shaper. */
const MIN_BURST_BYTES = 64 * 1024 + 2048;
const BURST_MS = 2;

/** Why there can be none here, in a clause; undefined when there can. */
export function whyNoShapedNetwork(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are there on Linux only';
  for (const [program, flag] of [
    ['ip', '-V'],
    ['tc', '-V'],
    ['unshare', '--version'],
    ['nsenter', '--version'],
  ] as const) {
    try {
      execFileSync(program, [flag], { stdio: 'ignore' });
    } catch {
      return `the command ${program} is not there (it is in the package ${program.length === 2 ? 'iproute2' : 'util-linux'})`;
    }
  }
  try {
    execFileSync(
      'unshare',
      [
        '--net',
        '--',
        'sh',
        '-c',
        'ip link add name one type veth peer name two && tc qdisc add dev one root tbf rate 1mbit burst 10kb latency 10ms',
      ],
      {
        stdio: 'ignore',
      },
    );
  } catch {
    return 'network namespaces with limited links may not be made here, which needs root';
  }
  return undefined;
}

/** A namespace, and the process that holds it. */
class Namespace {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async make(): Promise<Namespace> {
    const holder = spawn('unshare', ['--net', '--', 'sh', '-c', 'echo; exec cat >/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
    holder.on('error', () => undefined);
    const { stdin, stdout } = holder;
    if (stdin === null || stdout === null) throw new Error('the holder of a namespace has no pipes');
    stdin.on('error', () => undefined);
    const [first] = await Promise.race([once(stdout, 'data'), once(holder, 'close').then(() => [])]);
    if (first === undefined) throw new Error('a network namespace could not be made');
    return new Namespace(holder);
  }

  get pid(): number {
    if (this.#holder.pid === undefined) throw new Error('the holder of a namespace has ended');
    return this.#holder.pid;
  }

  /** What a command is run under to be in it. It replaces itself by the command, which so has the process id. */
  get wrapper(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--'];
  }

  /** Runs lines of a shell in it. */
  run(lines: readonly string[]): void {
    const [command = '', ...args] = this.wrapper;
    execFileSync(command, [...args, 'sh', '-e', '-c', lines.join('\n')], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#holder;
    const ended = exitCode === null && signalCode === null ? once(this.#holder, 'exit') : undefined;
    this.#holder.stdin?.end();
    await ended;
  }
}

export class ShapedNetwork {
  readonly #switch: Namespace;
  readonly #hosts: readonly Namespace[];

  private constructor(middle: Namespace, hosts: readonly Namespace[]) {
    this.#switch = middle;
    this.#hosts = hosts;
  }

  static async make({ hosts: count, megabitsPerSecond, queueMs }: ShapedPlan): Promise<ShapedNetwork> {
    if (count > MAX_HOSTS) throw new RangeError(`a network has ${MAX_HOSTS} hosts at most, not ${count}`);
    const made: Namespace[] = [];
    try {
      const middle = await Namespace.make();
      made.push(middle);
      middle.run([
        'ip link set lo up',
        'ip link add name br0 type bridge',
        `ip addr add ${PREFIX}${SWITCH_ADDRESS}/24 dev br0`,
        'ip link set br0 up',
      ]);
      const burst = Math.max(MIN_BURST_BYTES, Math.ceil(megabitsPerSecond * 125 * BURST_MS));
      const shape = `root tbf rate ${megabitsPerSecond}mbit burst ${burst} latency ${queueMs}ms`;
      const hosts: Namespace[] = [];
      for (let host = 1; host <= count; host++) {
        const namespace = await Namespace.make();
        made.push(namespace);
        hosts.push(namespace);
        const port = portOf(host);
        middle.run([
          `ip link add name ${port} type veth peer name eth0 netns ${namespace.pid}`,
          `ip link set ${port} master br0`,
          `tc qdisc add dev ${port} ${shape}`,
          `ip link set ${port} up`,
        ]);
        namespace.run([
          'ip link set lo up',
          `ip addr add ${PREFIX}${host}/24 dev eth0`,
          `tc qdisc add dev eth0 ${shape}`,
          'ip link set eth0 up',
        ]);
      }
      return new ShapedNetwork(middle, hosts);
    } catch (thrown) {
      await Promise.all(made.map((namespace) => namespace.close()));
      throw thrown;
    }
  }

  /** What a command is run under to be at the switch, whose own link has no limit. */
  get atSwitch(): readonly string[] {
    return this.#switch.wrapper;
  }

  /** What a command is run under to be host `host`, from 1 on. */
  at(host: number): readonly string[] {
    const namespace = this.#hosts[host - 1];
    if (namespace === undefined) throw new RangeError(`there is no host ${host}`);
    return namespace.wrapper;
  }

  addressOf(host: number): string {
    return `${PREFIX}${host}`;
  }

  /** Processes that hold the namespaces: of the switch, then of the hosts. */
  get holders(): readonly number[] {
    return [this.#switch, ...this.#hosts].map(({ pid }) => pid);
  }

  /** All processes in it must have ended. */
  async close(): Promise<void> {
    await Promise.all([...this.#hosts, this.#switch].map((namespace) => namespace.close()));
  }
}

/** The switch's interface to a host; what it received is what the host sent. */
export function portOf(host: number): string {
  return `p${host}`;
}
