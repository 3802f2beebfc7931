// What sees to it that nothing is left when a program that started nodes dies, whatever it dies of: a shell that holds the other end of a
// pipe. When the pipe closes without a farewell, it kills the nodes, also one that was paused and cannot notice that its starter is gone, and
// removes their directory.

import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Lines that it reads: `+ PID` a node was started, `- PID` it has ended, `bye`. A process is killed only if its command line names the directory:
 * its number may be somebody else's by now.
 */
const SCRIPT = `
directory=$1
remove=$2
nodes=' '
while read -r what pid; do
  case $what in
    +) nodes="$nodes$pid " ;;
    -) nodes="\${nodes%% $pid *} \${nodes#* $pid }" ;;
    bye) exit 0 ;;
  esac
done
for pid in $nodes; do
  if [ ! -d /proc/self ] || grep -qs -e "$directory" "/proc/$pid/cmdline"; then kill -KILL "-$pid" "$pid" 2>/dev/null; fi
done
if [ "$remove" = remove ]; then
  rm -rf -- "$directory" && [ ! -e "$directory" ] || { sleep 1; rm -rf -- "$directory"; }
fi
`;

export class Keeper {
  readonly #shell: ChildProcess;

  /** `directory` holds the data of all nodes. */
  constructor(directory: string, { removes }: { readonly removes: boolean }) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'loglog-keeper', directory, removes ? 'remove' : 'keep'], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
      cwd: '/',
    });
    // Where there is no shell the nodes stop when their own pipes close; a paused one does not.
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
    this.#shell.unref();
    unref(this.#shell.stdin);
  }

  started(pid: number): void {
    this.#shell.stdin?.write(`+ ${pid}\n`);
  }

  ended(pid: number): void {
    this.#shell.stdin?.write(`- ${pid}\n`);
  }

  /** All is in order: there is nothing to do for it any more. */
  async farewell(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      if (this.#shell.pid === undefined || this.#shell.exitCode !== null || this.#shell.signalCode !== null) resolve();
      else this.#shell.once('exit', () => resolve()).ref();
    });
    this.#shell.stdin?.end('bye\n');
    await gone;
  }
}

/** A pipe of a child, which is a socket, no longer keeps this program running. */
export function unref(pipe: unknown): void {
  (pipe as { unref?: () => void } | null)?.unref?.();
}
