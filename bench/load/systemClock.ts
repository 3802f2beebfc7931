// The one clock that all processes and threads share.

/** The system's monotonic clock, in milliseconds. */
export function systemMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
