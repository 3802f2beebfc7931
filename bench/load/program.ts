// The frame of a load program: parameters come from the parent's first message, the outcome goes back as one. Ends with its parent.

import type { LatencyRecorder } from '../statistics.ts';
import type { LoadName, LoadOutcome, Loads } from './types.ts';

/** Runs `load` once with what the parent sends, answers, and ends the process. */
export function program<Name extends LoadName>(_name: Name, load: (params: Loads[Name]['params']) => Promise<Loads[Name]['result']>): void {
  const answer = (outcome: LoadOutcome<Loads[Name]['result']>): void => {
    process.send?.(outcome, () => process.exit(outcome.ok ? 0 : 1));
  };
  const fail = (thrown: unknown): void => {
    answer({ ok: false, error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
  };
  process.once('disconnect', () => process.exit(1));
  // A rejected append that no scenario expects makes the whole measurement void.
  process.once('unhandledRejection', fail);
  process.once('message', (params: Loads[Name]['params']) => {
    load(params).then((value) => answer({ ok: true, value }), fail);
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
