// Directories for logs, and programs that open them.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type EmbeddedLog, type OpenOptions, openLog } from '../../dist/src/index.js';
import { TestDisk } from '../../dist/src/testing/testDisk.js';

/** Small segments: a log of them opens quickly, and takes little of the disk. */
export const SMALL = { segmentBytes: '1MiB', slots: 3 } as const;

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'loglog-embedded-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return join(path, 'log');
}

/** Opens a log that is closed at the end of the test. */
export async function open(options: Partial<OpenOptions> = {}): Promise<EmbeddedLog> {
  const log = await openLog({ dir: directory(), ...SMALL, ...options });
  onTestFinished(() => log.close({ timeoutMs: 0 }));
  return log;
}

/** How to start a program whose disk, under `dir`, fails or is slow when it says so to a TestDisk, a module of the folder `testing`. */
export function withFaultyDisk(dir: string): { readonly testing: string; readonly flags: string[]; readonly env: Record<string, string> } {
  const testing = new URL('../../dist/src/testing', import.meta.url).href;
  // The program looks for its faults when it begins.
  new TestDisk(dir).mend();
  return { testing, flags: ['--import', `${testing}/faultyDisk.js`], env: { LOGLOG_TESTING_DATA: dir } };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program, a module; `openLog`, `dir` and `SMALL` are there. */
export function start(
  dir: string,
  program: string,
  { flags = [], env = {} }: { readonly flags?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): { readonly ended: Promise<Ended>; kill(): void; readonly printed: (text: string) => Promise<void> } {
  const index = new URL('../../dist/src/index.js', import.meta.url).href;
  const text = `import { openLog } from ${JSON.stringify(index)};
const dir = ${JSON.stringify(dir)};
const SMALL = ${JSON.stringify(SMALL)};
${program}`;
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', text], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  let heard = (): void => undefined;
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
    heard();
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const ended = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
  return {
    ended,
    kill: () => void child.kill('SIGKILL'),
    printed: (wanted) =>
      new Promise((resolve) => {
        heard = () => {
          if (stdout.includes(wanted)) resolve();
        };
        heard();
      }),
  };
}

export async function textsOf(log: EmbeddedLog): Promise<string[]> {
  const texts: string[] = [];
  for await (const { payload } of log.read()) texts.push(new TextDecoder().decode(payload));
  return texts;
}
