// Of many who wait to be heard, whom to turn away.

/**
 * Of the place from which most of `all` came, the one that came first, `all` being in that order: so a crowd from one place takes no turn of who comes from
 * another. Undefined: there is nobody.
 */
export function firstOfCrowd<T>(all: Iterable<T>, placeOf: (one: T) => string): T | undefined {
  const places = new Map<string, { readonly first: T; count: number }>();
  let most: { readonly first: T; count: number } | undefined;
  for (const one of all) {
    const place = placeOf(one);
    const known = places.get(place);
    if (known === undefined) places.set(place, { first: one, count: 1 });
    else known.count += 1;
  }
  for (const place of places.values()) if (most === undefined || place.count > most.count) most = place;
  return most?.first;
}
