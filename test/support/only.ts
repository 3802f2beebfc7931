// Stand-ins for what a test needs only some of.

/** An object that has of `T` only `parts`: whoever asks for anything else of it is told so by an error, in place of an undefined that may do. */
export function only<T extends object>(parts: Partial<T>): T {
  return new Proxy<Partial<T>>(parts, {
    get(target, name, receiver) {
      // Symbols are what printing, awaiting and comparing look for; `then` is what awaiting does.
      if (typeof name !== 'symbol' && name !== 'then' && !(name in target)) throw new TypeError(`this test gives no ${name}`);
      return Reflect.get(target, name, receiver);
    },
  }) as T;
}
