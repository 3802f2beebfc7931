// All is well, and then all disks lose the same bit of one sealed segment: there is nobody to have it from. Each node says which offset is damaged, goes on,
// and puts nothing in place of what it has; and when one disk gives back what it had, all have it again.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { WORD } from '../../src/memory/map.ts';
import { segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY } from './identity.ts';
import { walkEntries } from './payloads.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Tours of the scrub until the damage is found, election timeouts in which nobody can heal it, and until all have. */
const TOURS = 3;
const VAIN_ELECTIONS = 20;
const HEALED_ELECTIONS = 200;

/** What the trial needs of the simulation. */
interface Ports {
  /** Runs until `isDone`, at most for `limitMs`; resolves to whether it was. */
  runUntil(limitMs: number, isDone: () => boolean): Promise<boolean>;
  /** New appends commit. */
  progresses(): Promise<void>;
  areHealed(): boolean;
}

interface Place {
  readonly base: number;
  readonly end: number;
}

/** Does it, in seeds with damages, where there is a segment that all nodes have sealed. */
export async function losesEverywhere(world: World, { runUntil, progresses, areHealed }: Ports): Promise<void> {
  const { nodes, trace, scheduler, profile, damages, seed } = world;
  const random = new Random(seed ^ 0x0a11_1057);
  const processes = nodes.flatMap(({ process }) => (process?.hasBegun === true ? [process] : []));
  const places = sealedEverywhere(processes);
  const place = places[random.below(Math.max(1, places.length))];
  if (!damages.isOn || place === undefined || processes.length < nodes.length) return;
  const path = `${DIRECTORY}/${segmentName(place.base)}`;
  const at = random.below(place.end - place.base);
  const offset = entryAt(world, place, at);
  for (const { disk } of nodes) disk.flipBit(path, SEGMENT_HEADER_BYTES + at);
  trace.add(scheduler.nowMs, 0, `* damage in ${place.base} on all disks`);
  const lost = nodes.map(({ disk }) => disk.visibleBytes(path)?.slice());

  const isTold = ({ engine }: Process): boolean =>
    engine.damages.now.some(({ base, damage }) => base === place.base && damage.offset === offset);
  /** A trim may have taken it. */
  const isGone = (): boolean => processes.some(({ memory, isAlive }) => !isAlive || memory.word(WORD.BASE) > place.base);
  const toldMs = (TOURS * damages.scrubDays * DAY_MS + HEALED_ELECTIONS * profile.electionTimeoutMs) * profile.clockSpread;
  const areTold = await runUntil(toldMs, () => isGone() || processes.every(isTold));
  promise(areTold, 'heals', () => {
    const silent = processes.filter((process) => !isTold(process)).map(({ id }) => id);
    return `all nodes have lost the entry at ${offset}, and nodes ${silent.join(', ')} do not say so`;
  });
  await runUntil(VAIN_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread, isGone);
  if (isGone()) return;
  for (const [i, { id, disk }] of nodes.entries()) {
    const isSame = Buffer.compare(disk.visibleBytes(path) ?? Buffer.of(), lost[i] ?? Buffer.of()) === 0;
    promise(isSame, 'heals', () => `node ${id} has put something in place of the segment at ${place.base}, which nobody has`);
  }
  await progresses();
  const [lucky] = nodes.filter(() => random.oneIn(2)).concat(nodes);
  if (lucky !== undefined) damages.gaveBack(lucky);
  lucky?.disk.flipBit(path, SEGMENT_HEADER_BYTES + at);
  const healed = await runUntil(HEALED_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread, () => isGone() || areHealed());
  promise(healed, 'heals', () => `node ${lucky?.id} has the segment at ${place.base} again, and others have it not from there`);
}

const DAY_MS = 86_400_000;

/** Sealed segments that all have, and that nothing cuts any more. */
function sealedEverywhere(processes: readonly Process[]): Place[] {
  const [first, ...others] = processes.map(({ engine, memory }) => engine.segments.sealed.filter(({ end }) => end < memory.commitBound));
  return (first ?? []).filter(({ base, end }) => others.every((sealed) => sealed.some((each) => each.base === base && each.end === end)));
}

/** Log offset of the entry that holds the byte `at` of a segment. */
function entryAt({ checker }: World, { base, end }: Place, at: number): number {
  const { ledger } = checker;
  let offset = base;
  walkEntries(ledger.committedBefore(end).subarray(base - ledger.start), base, (entry) => {
    if (entry.offset <= base + at) offset = entry.offset;
  });
  return offset;
}
