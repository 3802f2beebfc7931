// Bugs of nodes that read their sealed segments through, and heal what is damaged of them.

import type { Mutant } from './mutant.ts';

const HEALER = 'src/storage/healer.ts';
const HEALS = 'src/node/heals.ts';
const SCRUB = 'src/node/scrub.ts';
const READER = 'src/storage/segmentReader.ts';

export const HEAL_MUTANTS: readonly Mutant[] = [
  {
    name: 'heal without a look at what came',
    what: 'what another node sent is put in place unverified (ceph#50554: a repair that preferred the bad copy)',
    patches: [
      {
        file: HEALER,
        find: 'from + bytes > end || bytes === 0 || status !== WALK_COMPLETE || walk.bytes !== bytes',
        replace: 'bytes === 0',
      },
      {
        file: HEALER,
        find: 'scan.damage !== undefined || scan.status !== WALK_COMPLETE || scan.position !== fileBytes || scan.fileBytes !== fileBytes',
        replace: 'false',
      },
      { file: HEALER, find: 'if (isIndexRight && index.digest !== digest)', replace: 'if (false)' },
      { file: HEALER, find: 'scan.entries !== entries || JSON', replace: 'false && JSON' },
    ],
    foundBy: ['heals', 'soundness'],
    withinSeeds: 800,
    foundAt: 749,
  },
  {
    name: 'heal of a whole segment',
    what: 'a segment all of which passes its checks is taken for damaged, and replaced',
    patches: [
      { file: SCRUB, find: "if (found.outcome === 'whole')", replace: 'if (false)' },
      { file: HEALS, find: "if (found.outcome === 'whole')", replace: 'if (false)' },
    ],
    foundBy: ['heals'],
    withinSeeds: 900,
    foundAt: 847,
  },
  {
    name: 'heal that is renamed before it is synced',
    what: 'a healed segment has its name before its bytes are on the disk',
    patches: [{ file: HEALER, find: 'disk.dataSync(file);', replace: '' }],
    foundBy: ['durability', 'heals', 'soundness', 'visibility'],
    withinSeeds: 500,
    foundAt: 47,
  },
  {
    name: 'damage that nobody heals',
    what: 'what the scrub finds damaged is said, and not healed (ceph#69655: repair on read was lost)',
    patches: [{ file: HEALS, find: 'for (const node of others) {', replace: 'for (const node of others.slice(others.length)) {' }],
    foundBy: ['convergence'],
    withinSeeds: 500,
    foundAt: 847,
  },
  {
    name: 'damaged file that stays open',
    what: 'a reader goes on with the damaged file that it has open after another one is in its place',
    patches: [{ file: READER, find: 'truncations !== this.#truncations', replace: 'false' }],
    foundBy: ['heals', 'visibility', 'convergence'],
    withinSeeds: 900,
    foundAt: 127,
  },
  {
    name: 'damage that nobody is told of',
    what: 'what is damaged, and cannot be healed, is not said',
    patches: [{ file: 'src/node/damages.ts', find: 'this.#known.set(base, { base, end, damage });', replace: '' }],
    foundBy: ['heals', 'convergence'],
    withinSeeds: 900,
    foundAt: 127,
  },
];
