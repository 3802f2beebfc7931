/** Takes out of `all` what was put in first, until `most` are left. */
export function forgetOldest<K>(all: Set<K> | Map<K, unknown>, most: number): void {
  for (const oldest of all.keys()) {
    if (all.size <= most) return;
    all.delete(oldest);
  }
}
