// The whole bench as it was built, with tiny sizes: that it runs to its end, checks what it appended, and writes down what it should. How
// fast anything is does not matter here.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../bench/report/report.ts';

const MAIN = new URL('../../dist/bench/main.js', import.meta.url).pathname;
const SCENARIOS = ['tail', 'one-in-flight'];
const SIZES = ['--runs', '1', '--seconds', '0.1', '--warm-up', '0.05', '--small', '64', '--large', '5000', '--connections', '3'];
const CHOICES = ['--systems', 'loglog,loglog-3', '--check', '--segment-bytes', '4194304'];

const run = promisify(execFile);

let folder = '';
let report: Report;
let stdout = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'loglog-smoke-'));
  const json = join(folder, 'report.json');
  const html = join(folder, 'report.html');
  const args = [MAIN, ...SCENARIOS, ...SIZES, ...CHOICES, '--dir', folder, '--json', json, '--html', html];
  ({ stdout } = await run(process.execPath, args));
  report = JSON.parse(readFileSync(json, 'utf8')) as Report;
}, 300_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function resultsOf(scenario: string): string[] {
  return report.results.filter((line) => line.scenario === scenario).map(({ what }) => what);
}

describe('scenarios that read while others append', () => {
  // Segments so small that the log's own entries are among what is read.
  const small = [
    '--segment-bytes',
    '1048576',
    '--hot-entries',
    '20000',
    '--cold-entries',
    '100000',
    '--nodes',
    '1',
    '--systems',
    'loglog',
    '--check',
  ];
  const few = ['--growth-connections', '5', '--growth-subscribers', '12', '--mixed-rate', '500', '--fan-out-rate', '100'];

  it('run to their end, whatever the log has of its own in between', async () => {
    const file = join(folder, 'reads.json');
    await run(process.execPath, [MAIN, 'read', 'mixed', 'growth', ...SIZES, ...small, ...few, '--dir', folder, '--json', file]);
    const { runs, results } = JSON.parse(readFileSync(file, 'utf8')) as Report;
    expect(runs.map(({ scenario }) => scenario)).toEqual(['limits', 'read', 'growth', 'mixed']);
    const of = (what: string): number | undefined => results.find((line) => line.what === what)?.median;
    for (const what of [
      '1 node: hot, in batches',
      '1 node: cold, in the page cache',
      '1 node: 2 hot readers together',
      '1 node: cold reader',
    ])
      expect(of(what), what).toBeGreaterThan(0);
    expect(of('1 in flight over 5 connections: time of an append to that over 1')).toBeGreaterThan(0);
    expect(of('12 subscribers: payload delivered to that of 10')).toBeGreaterThan(0);
  }, 300_000);
});

describe('the bench', () => {
  it('measures the limits before all else, though nobody asked for them', () => {
    expect(report.runs.map(({ scenario }) => scenario)).toEqual(['limits', 'one-in-flight', 'tail']);
    const limits = resultsOf('limits');
    for (const part of ['4 KiB, buffered: p50', '1 MiB, buffered: p99', 'sequential write', 'bare server, 64 B', 'loopback']) {
      expect(
        limits.some((what) => what.includes(part)),
        part,
      ).toBe(true);
    }
    expect(report.results[0]?.scenario).toBe('limits');
  });

  it('measures one node and three, with what both sides pay', () => {
    for (const system of ['loglog', 'loglog-3']) {
      const lines = ['delivery, p50', 'client CPU', 'server CPU', 'server memory'].map((number) => `64 B, ${number}: ${system}`);
      expect(resultsOf('tail')).toEqual(expect.arrayContaining(lines));
      expect(resultsOf('one-in-flight')).toEqual(expect.arrayContaining([`64 B, p50: ${system}`, `64 B, server CPU: ${system}`]));
    }
    expect(resultsOf('one-in-flight')).toContain('1 node: p50 to that of the limits');
    expect(report.latencies.map(({ what }) => what)).toContain('append to delivery: loglog-3');
  });

  it('says on every line what syncs did', () => {
    const durable = report.environment.isDurable ? 'on' : 'off';
    for (const { scenario, fsync } of report.results) expect(scenario === 'limits' ? [durable, '–'] : [durable]).toContain(fsync);
    for (const { verdict } of report.results) if (!report.environment.isDurable) expect(['not durable', '']).toContain(verdict);
  });

  it('reads back everything that any load appended', () => {
    const checks = report.runs.flatMap(({ loads }) => loads).filter(({ load }) => load === 'check');
    // Both scenarios, of one node and of three.
    expect(checks).toHaveLength(4);
    for (const { params, result } of checks) {
      const { lanes } = params as { lanes: readonly { sent: number; lost: readonly unknown[] }[] };
      expect(lanes.map(({ lost }) => lost.length)).toEqual([0]);
      expect(lanes[0]?.sent).toBeGreaterThan(0);
      expect(result).toEqual({ checkedEntries: lanes[0]?.sent });
    }
    expect(report.remarks.join()).toContain('all that was acknowledged was read back');
  });

  it('writes for a terminal and for a browser', () => {
    expect(stdout).toContain('tail, 64 B');
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('tail, 64 B');
  });
});

describe('the bench that cannot run', () => {
  it('says why, and fails', async () => {
    const failing = (...args: readonly string[]): Promise<unknown> =>
      run(process.execPath, [MAIN, ...args]).catch((error: unknown) => error);
    const [nowhere, unknown, two, small] = await Promise.all([
      failing('tail', '--dir', join(folder, 'nowhere')),
      failing('no-such-scenario'),
      failing('tail', '--nodes', '2'),
      failing('tail', '--small', '7'),
    ]);
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('bench: ') });
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('no scenario is called no-such-scenario') });
    expect(two).toMatchObject({ code: 1, stderr: expect.stringContaining('It must be 1, 3 or both.') });
    expect(small).toMatchObject({ code: 1, stderr: expect.stringContaining('It must be 8 or more.') });
  });
});
