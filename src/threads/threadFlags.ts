// The flags of Node that our threads run with: those of the process, as usual, but for what says how the program itself came to Node, as in
// `node --input-type=module -e '…'`. A thread that inherits that does not load.

/** Flags that are about the program's text; where a value of theirs may follow as the next argument, it does. */
const ABOUT_TEXT = /^(--input-type|--eval|-e|--print|-p|-pe)$/;

/** `execArgv` for a Worker; undefined: what it gets anyway. */
export function threadFlags(flags: readonly string[] = process.execArgv): string[] | undefined {
  if (!flags.some((flag) => flag.startsWith('--input-type'))) return undefined;
  return flags.filter((flag, i) => !flag.startsWith('--input-type=') && !ABOUT_TEXT.test(flag) && !ABOUT_TEXT.test(flags[i - 1] ?? ''));
}
