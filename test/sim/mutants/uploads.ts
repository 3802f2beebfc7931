// Bugs with uploads: what a reference is taken for, and what staging forgets to free. RATIS- numbers are leaks that the staging of Ratis' DataStream had.
// That announcements are repeated to a new leader is speed alone, and nothing here would miss it.

import type { Mutant } from './mutant.ts';

const STAGED = 'src/replication/staged.ts';
const ENTRIES = 'src/replication/replicatedEntries.ts';
const REFERENCES = 'src/replication/references.ts';
const UPLOADS = 'src/node/uploads.ts';

const DIGEST = { file: STAGED, find: 'return isEqual(hash.digest(), digest);', replace: 'return true;' };

export const UPLOAD_MUTANTS: readonly Mutant[] = [
  {
    name: 'reference acknowledged before it is durable',
    what: 'what was put to its place counts as durable before the disk has it',
    patches: [
      {
        file: ENTRIES,
        find: "if (status === 'refused')\n            return 'missing';",
        replace:
          "if (status === 'refused')\n            return 'missing';\n        if (status === 'ordered') this.#memory.setWord(WORD.DURABLE, message.end);",
      },
    ],
    foundBy: ['durability', 'majority', 'soundness'],
    withinSeeds: 40,
    foundAt: 4,
  },
  {
    name: 'reference not placed taken for placed',
    what: 'a follower goes on as if it had the bytes of a reference that it could not place',
    patches: [
      {
        file: ENTRIES,
        find: "if (status === 'refused')\n            return 'missing';",
        replace: "if (status === 'refused')\n            return 'stored';",
      },
    ],
    foundBy: ['soundness', 'durability', 'log matching', 'leader completeness', 'committed bytes'],
    withinSeeds: 60,
    foundAt: 6,
  },
  {
    name: 'placed by offset',
    what: 'whatever is staged is put where a reference says, if only its length is right',
    patches: [
      {
        file: STAGED,
        find: 'const row = this.#rows.get(key);',
        replace: 'const row = this.#rows.get(key) ?? [...this.#rows.values()][0];',
      },
      {
        file: STAGED,
        find: 'this.#uploads.take(row, key, bytes - head.length)',
        replace: 'this.#uploads.take(row, this.#keys.get(row), bytes - head.length)',
      },
      DIGEST,
    ],
    foundBy: ['log matching'],
    withinSeeds: 60,
    foundAt: 34,
  },
  {
    name: 'digest not compared',
    what: 'a client that puts other bytes on each node makes their logs differ',
    patches: [DIGEST],
    foundBy: ['log matching'],
    withinSeeds: 60,
    foundAt: 34,
  },
  {
    name: 'refused reference leaves a trace',
    what: 'where the data ends is set before it is known whether the bytes are the right ones',
    patches: [
      {
        file: 'src/memory/tail.ts',
        find: 'if (status === WALK_COMPLETE && isSame(',
        replace: 'this.#memory.setWord(WORD.DATA_END, tail + byteCount);\n            if (status === WALK_COMPLETE && isSame(',
      },
    ],
    foundBy: ['data end'],
    withinSeeds: 60,
    foundAt: 16,
  },
  {
    name: 'mask ignored',
    what: 'a node is referred to uploads that its client does not say to be there',
    patches: [{ file: REFERENCES, find: '!isNamed(upload, to) || this.#lost', replace: 'this.#lost' }],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 6,
  },
  {
    name: 'referred again after a rejection',
    what: 'a node that rejects a reference is sent it again, for ever',
    patches: [{ file: REFERENCES, find: 'follower.trust.rejected(upload.client, nowMs);', replace: 'follower.announced.add(upload.key);' }],
    foundBy: ['uploads', 'progress'],
    withinSeeds: 60,
    foundAt: 6,
  },
  {
    name: 'uploads forgotten before they are ordered',
    what: 'a leader tells a node that it needs an upload no more as soon as it is announced',
    patches: [{ file: REFERENCES, find: 'this.#ends.get(key) ?? Number.POSITIVE_INFINITY', replace: 'this.#ends.get(key) ?? 0' }],
    foundBy: ['uploads'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'uploads of a client that is gone are kept',
    what: 'the end of a connection makes its uploads nobody’s (RATIS-1850)',
    patches: [
      { file: UPLOADS, find: 'staged.endMs = Math.min(staged.endMs, endMs);', replace: 'staged.endMs = Number.POSITIVE_INFINITY;' },
    ],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 4,
  },
  {
    name: 'staging is not told that a client is gone',
    what: 'the engine does not pass it on (RATIS-1853)',
    patches: [{ file: 'src/node/engine.ts', find: 'this.uploads.closed(caller);', replace: '' }],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 52,
  },
  {
    name: 'uploads that are never ordered are kept',
    what: 'whose connection goes on keeps its uploads for ever (RATIS-2213)',
    patches: [{ file: UPLOADS, find: 'if (staged.endMs <= nowMs)', replace: 'if (staged.caller.isClosed && staged.endMs <= nowMs)' }],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 2,
  },
  {
    name: 'expiry looks once',
    what: 'what is not too old when staging is looked at is never looked at again (RATIS-2197)',
    patches: [{ file: UPLOADS, find: 'if (this.#byRow.size > 0)\n            this.#planCheck();', replace: '' }],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 2,
  },
  {
    name: 'placed uploads are kept',
    what: 'what was put to its place goes on taking room',
    patches: [{ file: UPLOADS, find: 'this.counters.placed += 1;\n        this.#drop(staged);', replace: 'this.counters.placed += 1;' }],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 16,
  },
  {
    name: 'uploads that could not be placed are kept',
    what: 'only what was put to its place is freed (RATIS-1519)',
    patches: [
      {
        file: UPLOADS,
        find: 'this.counters.placed += 1;\n        this.#drop(staged);',
        replace: 'this.counters.placed += 1;\n        if (isPlaced) this.#drop(staged);',
      },
    ],
    foundBy: ['uploads'],
    withinSeeds: 200,
    foundAt: 16,
  },
  {
    name: 'a new leader goes on staging what it orders',
    what: 'an upload that was to be referred to by another leader is kept by the one that has its append',
    patches: [
      {
        file: UPLOADS,
        find: 'const staged = this.#byKey.get(uploadKeyOf(id));',
        replace: 'const staged = id.length > 16 ? this.#byKey.get(uploadKeyOf(id)) : undefined;',
      },
    ],
    foundBy: ['uploads'],
    withinSeeds: 60,
    foundAt: 4,
  },
];
