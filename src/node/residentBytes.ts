// Resident memory of the process.

let lastKnown = 0;

/** Bytes of resident memory. The system tells them in a file: where no descriptor is free to open it, they are those of the last time. */
export function residentBytes(): number {
  try {
    lastKnown = process.memoryUsage.rss();
  } catch {
    // Whoever asks gets an answer all the same.
  }
  return lastKnown;
}
