import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { lockDirectory } from '../../src/storage/lock.ts';
import { errorOf, temporaryDirectory } from './support.ts';

const module = new URL('../../dist/src/storage/lock.js', import.meta.url).href;
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
});

/** Another process that holds the lock of `directory` (the built lock.js: node cannot run TypeScript). */
async function holder(directory: string): Promise<ChildProcess> {
  const script = `
    const { lockDirectory } = await import(${JSON.stringify(module)});
    lockDirectory(${JSON.stringify(directory)});
    console.log('locked');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString()).toBe('locked\n');
  return child;
}

function pidIn(directory: string): number {
  return Number(readFileSync(`${directory}/lock`, 'utf8').split('\n')[0]);
}

it('lock: a second process is refused, and told which process has the directory', async () => {
  const directory = temporaryDirectory();
  const child = await holder(directory);
  const error = errorOf(() => lockDirectory(directory));
  expect(error.code).toBe('LOCKED');
  expect(error.message).toContain(`process ${child.pid}`);
  expect(error.message).toContain(directory);
  expect(pidIn(directory)).toBe(child.pid);
});

it('lock: it ends with its process, also by kill -9', async () => {
  const directory = temporaryDirectory();
  const child = await holder(directory);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  lockDirectory(directory);
  expect(pidIn(directory)).toBe(process.pid);
  // Held by this process now; the same process asking again is a second holder too.
  expect(errorOf(() => lockDirectory(directory)).message).toContain(`process ${process.pid}`);
});

it('lock: what an earlier process left in the file does not matter', () => {
  const directory = temporaryDirectory();
  writeFileSync(`${directory}/lock`, '123456789012345\n');
  lockDirectory(directory);
  expect(pidIn(directory)).toBe(process.pid);
});

it('lock: a directory that is missing, or whose lock is not a plain file, is refused with a reason', () => {
  const directory = temporaryDirectory();
  expect(errorOf(() => lockDirectory(`${directory}/missing`))).toMatchObject({ code: 'IO' });
  mkdirSync(`${directory}/a/lock`, { recursive: true });
  expect(errorOf(() => lockDirectory(`${directory}/a`))).toMatchObject({ code: 'IO' });
  mkdirSync(`${directory}/b`);
  symlinkSync(`${directory}/elsewhere`, `${directory}/b/lock`);
  expect(errorOf(() => lockDirectory(`${directory}/b`))).toMatchObject({ code: 'IO' });
});

it('R12: with the lock file removed, or replaced, a second process is refused all the same', async () => {
  const directory = temporaryDirectory();
  await holder(directory);
  rmSync(`${directory}/lock`);
  expect(errorOf(() => lockDirectory(directory))).toMatchObject({ code: 'LOCKED' });
  // The try has made another lock file, which nobody holds.
  expect(errorOf(() => lockDirectory(directory)).message).toContain('in use by another process');
});

it('R12: a lock that is a pipe, or has another name, is refused at once with a sentence', () => {
  const directory = temporaryDirectory();
  spawnSync('mkfifo', [`${directory}/lock`]);
  expect(errorOf(() => lockDirectory(directory))).toMatchObject({ code: 'IO', message: expect.stringContaining('not a regular file') });
  rmSync(`${directory}/lock`);
  writeFileSync(`${directory}/mine`, 'precious');
  linkSync(`${directory}/mine`, `${directory}/lock`);
  expect(errorOf(() => lockDirectory(directory))).toMatchObject({ code: 'IO', message: expect.stringContaining('hard links') });
  expect(readFileSync(`${directory}/mine`, 'utf8')).toBe('precious');
});

it('lock: another process is not taken for this one because it has the same id, as in another container', async () => {
  const directory = temporaryDirectory();
  await holder(directory);
  // Not ours: what the holder says is written over.
  writeFileSync(`${directory}/lock`, `${process.pid}\npid:[1] 1\n`);
  expect(errorOf(() => lockDirectory(directory)).message).toContain(`in use by process ${process.pid}: stop it`);
});

it('E19: a lock that is not had leaves no descriptor open, whatever the reason', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const directory = temporaryDirectory();
  await holder(directory);
  const path = process.env.PATH;
  const before = descriptors();
  expect(errorOf(() => lockDirectory(directory))).toMatchObject({ code: 'LOCKED' });
  process.env.PATH = '/nowhere';
  try {
    expect(errorOf(() => lockDirectory(directory))).toMatchObject({ code: 'IO', message: expect.stringContaining('util-linux') });
  } finally {
    process.env.PATH = path;
  }
  expect(descriptors()).toBe(before);
});

it('lock: without a free descriptor it says so', () => {
  const directory = temporaryDirectory();
  const script = `
    import { openSync, closeSync } from 'node:fs';
    import { spawnSync } from 'node:child_process';
    const { lockDirectory } = await import(${JSON.stringify(module)});
    spawnSync('true');
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null')); } catch {}
    const said = [];
    for (let free = 0; free < 3; free += 1) {
      try { lockDirectory(${JSON.stringify(directory)}); } catch ({ message }) { said.push(message); }
      closeSync(taken.pop());
    }
    for (const each of taken) closeSync(each);
    console.log(JSON.stringify(said));`;
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -n 200; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script]);
  const said = JSON.parse(stdout.toString()) as string[];
  expect(said).toHaveLength(3);
  for (const message of said) expect(message).toContain('out of descriptors (EMFILE)');
});
