// Descriptors (open files and sockets) of a process are bounded by the system. An error for want of them says what the bound is called.

/** Errors of the system: this process (EMFILE) or the whole machine (ENFILE) may open no more. */
const CODES = ['EMFILE', 'ENFILE'];

/** What to do about it. */
export const RAISE_LIMIT = 'raise the limit of open files (ulimit -n; LimitNOFILE= of a systemd unit; --ulimit nofile= of a container)';

/** The sentence for an error that says that there is no free descriptor; undefined for every other one. */
export function outOfDescriptors(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code = 'code' in thrown ? String(thrown.code) : '';
  // A thread that does not start says so in its text only.
  const found = CODES.find((each) => code === each || (code === 'ERR_WORKER_INIT_FAILED' && thrown.message.includes(each)));
  if (found === undefined) return undefined;
  const whose = found === 'EMFILE' ? 'this process' : 'this machine';
  return `out of descriptors (${found}): ${whose} may have no more open files and sockets; ${RAISE_LIMIT}`;
}

/** Whether `errno`, of a LogError's details, says that there was no free descriptor. */
export function isOutOfDescriptors(errno: unknown): boolean {
  return CODES.includes(String(errno));
}
