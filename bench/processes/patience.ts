// How long a load may take: generous, so that a busy machine never ends one that goes on, and bounded, so that a hang is an error.

import type { LaneRecord } from '../load/lane.ts';

/** For the start of the load, its connections, and whatever else does not depend on its sizes. */
const ANY_SECONDS = 120;
/** A load may measure twice, in two places, and then wait as long again for what it sent. */
const TIMES = 6;
/** Less than any load does in a second. */
const LEAST_ENTRIES = 5_000;
const LEAST_BYTES = 2e6;

/** What loads are told of their amounts, each as far as it goes. */
interface Amounts {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly entries: number;
  readonly payloadBytes: number;
  readonly fileBytes: number;
  readonly lanes: readonly Pick<LaneRecord, 'sent' | 'payloadBytes'>[];
}

/** Seconds after which a load with `params` is taken to hang. */
export function patienceSeconds(params: object): number {
  const { seconds = 0, warmUpSeconds = 0, entries = 0, payloadBytes = 0, fileBytes = 0, lanes = [] } = params as Partial<Amounts>;
  const allEntries = lanes.reduce((sum, { sent }) => sum + sent, entries);
  const allBytes = lanes.reduce((sum, lane) => sum + lane.sent * lane.payloadBytes, entries * payloadBytes + fileBytes);
  return Math.ceil(ANY_SECONDS + TIMES * (seconds + warmUpSeconds) + allEntries / LEAST_ENTRIES + allBytes / LEAST_BYTES);
}
