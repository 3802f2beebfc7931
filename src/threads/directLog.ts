// What is said while the main thread hangs goes straight to where the process writes its log.

/** How the process writes its log, so that a thread can do so while the main thread hangs. */
export interface DirectLog {
  /** A descriptor on which writes never block. */
  readonly file: number;
  readonly isJson: boolean;
}
