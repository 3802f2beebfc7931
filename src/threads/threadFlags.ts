// The flags of Node that our threads run with: those of the process, as usual. But where one says how the program itself came to Node, as in
// `node --input-type=module -e '…'`, a thread that inherits it does not load; and flags of V8 and of the process cannot be given to a thread.

/** Flags that say what a thread loads, and how: all that it is given where it cannot have those of the process as they are. */
const ABOUT_LOADING = /^(--import|--require|-r|--conditions|-C|--loader|--experimental-loader|--enable-source-maps|--no-warnings)(=|$)/;
/** Of those, the ones that stand alone. */
const WITHOUT_VALUE = /^(--enable-source-maps|--no-warnings)$/;

/** `execArgv` for a Worker; undefined: what it gets anyway. */
export function threadFlags(flags: readonly string[] = process.execArgv): string[] | undefined {
  if (!flags.some((flag) => flag.startsWith('--input-type'))) return undefined;
  const takesNext = (flag = ''): boolean => ABOUT_LOADING.test(flag) && !flag.includes('=') && !WITHOUT_VALUE.test(flag);
  return flags.filter((flag, i) => ABOUT_LOADING.test(flag) || takesNext(flags[i - 1]));
}
