// Disks that are slow or full, by means of the system: strace, which delays system calls of a running process, and small file systems in
// memory. Both need rights and tools that may not be there; what is missing is said, not passed over.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, statfsSync, writeSync } from 'node:fs';

/** Whether strace may attach to a process and delay its calls; a sentence when not. */
export function straceRefusal(): string | undefined {
  if (spawnSync('strace', ['-V']).status !== 0) return 'a slow disk: strace is not installed';
  const sleeper = spawn('sleep', ['10'], { stdio: 'ignore' });
  try {
    const attached = spawnSync('timeout', ['-s', 'INT', '1', 'strace', '-qq', '-p', String(sleeper.pid), '-o', '/dev/null'], {
      encoding: 'utf8',
    });
    return /not permitted|attach:/i.test(attached.stderr) ? 'a slow disk: strace may not attach to processes here' : undefined;
  } finally {
    sleeper.kill('SIGKILL');
  }
}

/** How long strace may take to let go. */
const TRACER_PATIENCE_MS = 2_000;

/** Delays each fdatasync of a running process, until it is told to stop. */
export class SlowDisk {
  readonly #tracer: ChildProcess;
  readonly #gone: Promise<void>;

  constructor(pid: number, delayMs: number) {
    const inject = `inject=fdatasync:delay_enter=${Math.round(delayMs * 1000)}`;
    this.#tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', inject, '-p', String(pid)], {
      stdio: 'ignore',
    });
    this.#gone = new Promise((resolve) => {
      this.#tracer.once('close', () => resolve());
      this.#tracer.once('error', () => resolve());
    });
  }

  /** Lets go of the process. strace does so at SIGINT, but not always where the process was killed in the midst of a delay: then at SIGKILL. */
  async stop(): Promise<void> {
    this.#tracer.kill('SIGINT');
    const patience = setTimeout(() => this.#tracer.kill('SIGKILL'), TRACER_PATIENCE_MS);
    await this.#gone;
    clearTimeout(patience);
  }
}

/** A node writes while it is looked at. */
const RESIZES = 50;

// Whatever ends this process, no mount outlives it.
const mounted = new Set<SmallDisk>();
process.on('exit', () => {
  for (const disk of mounted) disk.unmount();
});

/** A file system in memory for one node's data, which can be filled up. */
export class SmallDisk {
  readonly directory: string;
  readonly #bytes: number;

  private constructor(directory: string, bytes: number) {
    this.directory = directory;
    this.#bytes = bytes;
  }

  /** Mounts one of `bytes` on `directory`, which is made. Returns a sentence when it may not be done here. */
  static mount(directory: string, bytes: number): SmallDisk | string {
    mkdirSync(directory, { recursive: true });
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory]);
    if (status !== 0) return 'a full disk: no file system can be mounted here (not root?)';
    const disk = new SmallDisk(directory, bytes);
    mounted.add(disk);
    return disk;
  }

  /** Leaves no more room than `leaveBytes`: the file system becomes smaller, so that nothing has to be put there, of which an hour's run has no end. */
  fill(leaveBytes: number): void {
    for (let attempt = 0; attempt < RESIZES; attempt += 1) {
      const { blocks, bfree, bsize } = statfsSync(this.directory);
      // Refused where a node has taken more meanwhile.
      if (this.#resize((blocks - bfree) * bsize + leaveBytes)) return;
    }
    throw new Error(`the file system on ${this.directory} does not become smaller`);
  }

  /** Gives the room back. */
  empty(): void {
    if (!this.#resize(this.#bytes)) throw new Error(`the file system on ${this.directory} does not become larger again`);
  }

  #resize(bytes: number): boolean {
    return spawnSync('mount', ['-o', `remount,size=${bytes}`, this.directory]).status === 0;
  }

  unmount(): void {
    if (mounted.delete(this)) execFileSync('umount', ['--lazy', this.directory]);
  }
}

/** Flips a bit of the byte at `position` of a file. */
export function flipBit(path: string, position: number): void {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 1;
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}
