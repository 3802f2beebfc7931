import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, in that order: a clean checkout knows no times, and what begins last must not be one of them. Planted bugs come later than their time
 * would have it, not beside the simulator and clusters under load, which would have to share two cores with four processes more.
 */
const LONGEST = [
  'test/e2e/cluster.test.ts',
  'test/sim/sim.test.ts',
  'test/cli/cluster.test.ts',
  'test/cli/commands.test.ts',
  'test/crash/crash.test.ts',
  'test/e2e/kill.test.ts',
  'test/sim/mutants/mutants.test.ts',
  'test/embedded/openLog.test.ts',
  'test/crash/plantedBugs.test.ts',
  'test/embedded/programs.test.ts',
  'test/server/lifecycle.test.ts',
  'test/guides/guides.test.ts',
  'test/packages/install.test.ts',
  'test/contract/segments.test.ts',
  'test/embedded/mistakes.test.ts',
  'test/mirror/sources.test.ts',
  'test/embedded/memory.test.ts',
  'test/cli/offline.test.ts',
  'test/testing/startCluster.test.ts',
  'test/cli/damagedStart.test.ts',
  'test/cli/restore.test.ts',
  'test/contract/times.test.ts',
  'test/assembly/differential.test.ts',
  'test/cli/foreignFiles.test.ts',
  'test/cli/survey.test.ts',
  'test/raft/random.test.ts',
  'test/contract/badInput.test.ts',
  'test/cli/usage.test.ts',
  'test/storage/manySegments.test.ts',
  'test/node/heldAppends.test.ts',
  'test/cli/founding.test.ts',
  'test/node/stop.test.ts',
  'test/e2e/harness.test.ts',
  'test/testing/disks.test.ts',
  'test/embedded/openDamage.test.ts',
  'test/bench/main.test.ts',
  'test/cli/waiting.test.ts',
  'test/embedded/proof.test.ts',
  'test/bench/check.test.ts',
  'test/cli/blockedOutput.test.ts',
  'test/client/writerNodes.test.ts',
];

/** Folders whose files ask nothing of the process that they run in: to load all modules again for each would cost more than most of them. */
const SHARING =
  'assembly|bench|client|cluster|core|crash|dashboard|docs|format|fuzz|history|interleave|memory|peers|protocol|raft|replication|storage|tls';

/** Files that look at how fast a client is served beside others: what else runs must leave it its share of the cores. They come after all others, two at a time. */
const PACED = [
  'test/contract/resources.test.ts',
  ...['floods', 'memoryOfListener', 'places', 'resources', 'sendBudget', 'silence', 'slowReaders'].map(
    (name) => `test/server/${name}.test.ts`,
  ),
];

/** Long files first, then those with a process of their own, then those that share one: vitest keeps it while its next file shares it, too. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId, project }: TestSpecification): number => {
      const place = LONGEST.indexOf(relative(import.meta.dirname, moduleId));
      if (place >= 0) return place;
      return LONGEST.length + (project.name === 'sharing' ? 1 : 0);
    };
    return files.toSorted((one, other) => placeOf(one) - placeOf(other) || (one.moduleId < other.moduleId ? -1 : 1));
  }
}

export default defineConfig({
  test: {
    testTimeout: 240_000,
    hookTimeout: 120_000,
    // A test says what comes, not how soon: on a busy machine a second, vitest's own limit, passes with nothing wrong.
    expect: { poll: { timeout: 60_000 } },
    // Tests start servers and count states. Most that start servers wait for them, so that three files at a time keep two cores busy.
    maxWorkers: 3,
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: [`test/!(${SHARING})/**/*.test.ts`, ...LONGEST], exclude: PACED } },
      { extends: true, test: { name: 'sharing', include: [`test/@(${SHARING})/**/*.test.ts`], exclude: LONGEST, isolate: false } },
      { extends: true, test: { name: 'paced', include: PACED, maxWorkers: 2, sequence: { groupOrder: 1 } } },
    ],
  },
});
