// Directories for logs, and programs that open them.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type EmbeddedLog, type OpenOptions, openLog } from '../../dist/src/index.js';

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
): { readonly ended: Promise<Ended>; kill(): void; readonly printed: (text: string) => Promise<void> } {
  const index = new URL('../../dist/src/index.js', import.meta.url).href;
  const text = `import { openLog } from ${JSON.stringify(index)};
const dir = ${JSON.stringify(dir)};
const SMALL = ${JSON.stringify(SMALL)};
${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'pipe'] });
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
