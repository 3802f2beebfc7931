// When the level of a log is raised automatically: by made-up nodes and a made-up clock.

import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { LEVELS, type LevelRange, LOG_LEVEL } from '../../src/core/levels.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Levels } from '../../src/node/levels.ts';
import { refuseLevel } from '../../src/node/startup.ts';

const HOUR = 3_600_000;
const OLD: LevelRange = { lowest: 0, highest: LOG_LEVEL - 1 };

/** Node 1 of three, which leads a log of the level before the newest. */
class Bench {
  readonly lines: string[] = [];
  readonly levels: Levels;
  /** Of the entries that raise it. */
  raised = 0;
  level = LOG_LEVEL - 1;
  nowMs = 1_000;
  leads = true;
  /** There is no room for entries, until something happens. */
  isFull = false;
  /** What happens while it is waited for that. */
  meanwhile = (): void => undefined;
  readonly memory: TailMemory;

  constructor(autoFinalizeAfter: number) {
    const bench = this;
    const memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
    memory.setWord(WORD.OPEN_TERM, 4);
    memory.setWord(WORD.COMMIT, 100);
    this.memory = memory;
    for (const id of [2, 3]) this.hear(id, true, LEVELS);
    this.levels = new Levels({
      newest: LOG_LEVEL,
      memory,
      fold: {
        get level() {
          return bench.level;
        },
        nextLevel: { level: 0, end: 0 },
      },
      own: {
        level: () => {
          if (this.isFull) return undefined;
          this.raised += 1;
          this.level = LOG_LEVEL;
          return 4;
        },
        beginLevel: () => undefined,
      },
      cluster: { self: 1, others: [2, 3] },
      refusal: () => (this.leads ? undefined : new LogError('NOT_LEADER', 'no')),
      progress: () => {
        this.isFull = false;
        this.meanwhile();
        return Promise.resolve();
      },
      loop: { nowMs: () => this.nowMs },
      config: { autoFinalizeAfter },
      log: { info: (text) => void this.lines.push(text), warn: (text) => void this.lines.push(text) },
      broke: (thrown) => {
        throw thrown;
      },
    });
  }

  /** What is known of another node. */
  hear(id: number, isConnected: boolean, levels: LevelRange | null): void {
    this.memory.peers.set(id, { isConnected, levels });
  }

  /** Time passes, and it is looked. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.levels.look();
  }
}

const RAISED = `all nodes have known level ${LOG_LEVEL} of the log for long, so this one, which leads, has raised it; older builds cannot take part any more`;

/** What a request that is due comes to is said after it. */
const turned = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('with --auto-finalize-after', () => {
  test('E180: it is not said of a level that it is raised where a node came back meanwhile, or another one leads', async () => {
    const bench = new Bench(HOUR);
    const isDue = async (): Promise<void> => {
      bench.isFull = true;
      bench.pass(0);
      bench.pass(HOUR);
      await turned();
    };
    bench.meanwhile = () => bench.hear(3, true, OLD);
    await isDue();
    expect([bench.raised, bench.lines]).toEqual([0, []]);
    bench.hear(3, true, LEVELS);
    bench.meanwhile = () => {
      bench.leads = false;
    };
    await isDue();
    expect([bench.raised, bench.lines]).toEqual([0, [`the level of the log was not raised to ${LOG_LEVEL}, which was due: no`]]);
    // It ordered the entry, and somebody else leads before that was committed.
    bench.leads = true;
    bench.meanwhile = () => {
      bench.memory.setWord(WORD.OPEN_TERM, 5);
      bench.memory.setWord(WORD.COMMIT, 0);
    };
    await isDue();
    expect(bench.raised).toBe(1);
    expect(bench.lines.slice(1)).toEqual([
      `it is not known whether the log has level ${LOG_LEVEL}, which was due: this node leads no longer, or stops, and does not know whether the level is raised: to ask for it again does no harm`,
    ]);
  });

  test('the level is raised once all nodes could have had it for so long, and not sooner', async () => {
    const bench = new Bench(HOUR);
    bench.pass(0);
    bench.pass(HOUR - 1);
    expect([bench.raised, bench.lines]).toEqual([0, []]);
    bench.pass(1);
    expect(bench.raised).toBe(1);
    await turned();
    expect(bench.lines).toEqual([RAISED]);
    bench.pass(2 * HOUR);
    expect(bench.raised).toBe(1);
  });

  test.each([
    ['a node is away', (bench: Bench): void => bench.hear(3, false, LEVELS)],
    ['a node does not know it', (bench: Bench): void => bench.hear(3, true, OLD)],
    ['a node has not said what it knows', (bench: Bench): void => bench.hear(3, true, null)],
    [
      'this node does not lead',
      (bench: Bench): void => {
        bench.leads = false;
      },
    ],
  ])('while %s time does not count, and begins anew', (_what, hinder) => {
    const bench = new Bench(HOUR);
    bench.pass(0);
    bench.pass(HOUR - 1);
    hinder(bench);
    bench.pass(HOUR);
    expect(bench.raised).toBe(0);
    bench.hear(3, true, LEVELS);
    bench.leads = true;
    bench.pass(0);
    bench.pass(HOUR - 1);
    expect(bench.raised).toBe(0);
    bench.pass(1);
    expect(bench.raised).toBe(1);
  });
});

test('without it nothing is raised, however long all know it', () => {
  const bench = new Bench(0);
  for (let i = 0; i < 10; i += 1) bench.pass(1_000 * HOUR);
  expect(bench.raised).toBe(0);
});

test('a log of a level above those of this build is refused as one of a newer build, and any other is not', () => {
  for (let level = LEVELS.lowest; level <= LEVELS.highest; level += 1) expect(() => refuseLevel('dir', level)).not.toThrow();
  expect(() => refuseLevel('dir', LOG_LEVEL + 1)).toThrow('the log in dir has level 3, and this LogLog runs logs up to level 2');
});

test('a level that has to wait for room is not raised any more once a node is back that does not know it', async () => {
  const bench = new Bench(0);
  bench.isFull = true;
  bench.meanwhile = () => bench.hear(3, true, OLD);
  await expect(bench.levels.request(true)).resolves.toMatchObject({ level: LOG_LEVEL - 1 });
  expect(bench.raised).toBe(0);
  bench.meanwhile = () => bench.hear(3, true, LEVELS);
  bench.hear(3, true, LEVELS);
  bench.isFull = true;
  await expect(bench.levels.request(true)).resolves.toMatchObject({ level: LOG_LEVEL });
  expect(bench.raised).toBe(1);
});
