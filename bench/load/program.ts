// The frame of a load program: parameters come from the parent's first message, the outcome goes back as one, with what
// became of all that was appended. Ends with its parent.

import type { LatencyRecorder } from '../statistics.ts';
import { Mismatch } from './judge.ts';
import { Lane, type LaneRecord } from './lane.ts';
import type { LogTarget } from './target.ts';
import type { LoadName, LoadOutcome, Loads } from './types.ts';

const lanes: Lane[] = [];
let isToldToEnd = false;

/** Whether the load was told to end early, and to answer what it has. */
export function mustEnd(): boolean {
  return isToldToEnd;
}

/** The lanes of the first `count` connections that append to `log`. What becomes of them is answered, whether the load succeeds or fails. */
export function openLanes({ seed, firstLane, ringBytes }: LogTarget, payloadBytes: number, count: number): Lane[] {
  const opened = Array.from({ length: count }, (_, i) => new Lane(seed, payloadBytes, firstLane + i, ringBytes));
  lanes.push(...opened);
  return opened;
}

/** The lane of the only connection that appends to `log`. */
export function openLane(log: LogTarget, payloadBytes: number): Lane {
  const [lane] = openLanes(log, payloadBytes, 1);
  if (lane === undefined) throw new Error('there is no lane');
  return lane;
}

/** Runs `load` once with what the parent sends, answers, and ends the process. */
export function program<Name extends LoadName>(_name: Name, load: (params: Loads[Name]['params']) => Promise<Loads[Name]['result']>): void {
  const answer = (outcome: LoadOutcome<Loads[Name]['result']>): void => {
    process.send?.(outcome, () => process.exit(outcome.ok ? 0 : 1));
  };
  const records = (): LaneRecord[] => lanes.map((lane) => lane.record());
  let hasFailed = false;
  const fail = (thrown: unknown): void => {
    if (hasFailed) return;
    hasFailed = true;
    const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    answer({ ok: false, error, isMismatch: thrown instanceof Mismatch, lanes: records() });
  };
  process.once('disconnect', () => process.exit(1));
  // A rejected append that no scenario expects makes the whole measurement void. When a connection is lost, many are rejected at once.
  process.on('unhandledRejection', fail);
  // The judge throws in the callbacks of clients, too.
  process.on('uncaughtException', fail);
  process.once('message', (params: Loads[Name]['params']) => {
    process.once('message', () => {
      isToldToEnd = true;
    });
    load(params).then((value) => answer({ ok: true, value, lanes: records() }), fail);
  });
}

/** CPU seconds of this process, user and system. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Runs a closed loop that records into `latency`, first to warm up, and says what the run after that took. */
export async function measureClosedLoop(
  run: (seconds: number) => Promise<void>,
  { warmUpSeconds, seconds }: { readonly warmUpSeconds: number; readonly seconds: number },
  latency: LatencyRecorder,
): Promise<{ readonly seconds: number; readonly clientCpuSeconds: number }> {
  await run(warmUpSeconds);
  latency.clear();
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  await run(seconds);
  return { seconds: (performance.now() - started) / 1000, clientCpuSeconds: cpuSeconds() - cpuBefore };
}
