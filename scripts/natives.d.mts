export declare function examineNatives(
  root: string,
  known?: Readonly<Record<string, { readonly files: Readonly<Record<string, string>> }>>,
): { readonly examined: number; readonly faults: readonly string[] };
