// What the scenarios that take all systems have in common: each system in turn, empty at first, in another order in each round.

import type { Target as Goal, Sample } from '../sample.ts';
import type { Context } from '../scenario.ts';
import type { FoundSystem } from '../systems/system.ts';
import type { UnderTest } from '../underTest.ts';

/** Steps through `count` items that meet each of them once. */
function stridesOf(count: number): number[] {
  const divides = (step: number, divisor: number): boolean => step % divisor === 0 && count % divisor === 0;
  const steps = Array.from({ length: Math.max(1, count - 1) }, (_, index) => index + 1);
  return steps.filter((step) => !steps.some((divisor) => divisor > 1 && divides(step, divisor)));
}

/**
 * `items` from another one on in each round, so that none is always the first or the last; and in steps of another length, so that none
 * always comes after the same other one.
 */
export function orderOf<T>(items: readonly T[], round: number): T[] {
  const strides = stridesOf(items.length);
  const stride = strides[(round - 1) % strides.length] ?? 1;
  return items.map((_, place) => items[(round + place * stride) % items.length] as T);
}

/** Starts a system, empty, measures it, has what it holds checked, and removes it. */
async function measureOne(
  context: Context,
  found: FoundSystem,
  group: string,
  measure: (system: UnderTest) => Promise<void>,
): Promise<UnderTest> {
  context.say(`${found.system.label}, ${found.version}, ${group}`);
  const system = await context.startSystem(found);
  try {
    system.group = group;
    await measure(system);
    await system.check();
    return system;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const where = `${found.system.id} ${found.version}, ${group}`;
    throw new Error(`${where}: ${reason}\n${system.running.lastWords()}`.trimEnd(), { cause: thrown });
  } finally {
    await system.running.remove();
  }
}

/** The systems with the numbers of nodes that were asked for. */
export function chosenSystems({ systems, sizes }: Context): FoundSystem[] {
  return systems.filter(({ system }) => sizes.nodes.includes(system.nodes));
}

/** Measures each of `systems` in the tables of `group`. What is noted and kept is in their own order. */
export async function eachSystem(
  context: Context,
  group: string,
  measure: (system: UnderTest) => Promise<void>,
  systems: readonly FoundSystem[] = chosenSystems(context),
): Promise<Sample[]> {
  const measured = new Map<FoundSystem, UnderTest>();
  const order = orderOf(systems, context.round);
  context.order = order.map(({ system }) => system.id);
  for (const found of order) measured.set(found, await measureOne(context, found, group, measure));
  const inOrder = systems.flatMap((found) => measured.get(found) ?? []);
  context.distributions.push(...inOrder.flatMap(({ distributions }) => distributions));
  context.series.push(...inOrder.flatMap(({ series }) => series));
  return inOrder.flatMap(({ samples }) => samples);
}

/** A number of LogLog's that is held against the same one of another system, measured in the same round. */
interface Claim {
  /** Ids of both. */
  readonly own: string;
  readonly other: string;
  /** The column of both. */
  readonly number: string;
  /** What LogLog's must be, divided by the other's. */
  readonly target: Goal;
}

/** The lines of `claims` in the table of `group`. There is none of a system that was not measured. */
export function heldAgainst(samples: readonly Sample[], group: string, claims: readonly Claim[]): Sample[] {
  return claims.flatMap(({ own, other, number, target }) => {
    const of = (id: string): number | undefined => {
      return samples.find(({ beside }) => beside?.group === group && beside.number === number && beside.system === id)?.value;
    };
    const ownValue = of(own);
    const otherValue = of(other);
    if (ownValue === undefined || otherValue === undefined) return [];
    return [{ what: `${group}, ${number}: ${own} to ${other}`, value: ownValue / otherValue, unit: '×', target }];
  });
}
