export function sections(): { title: string; pages: { name: string; path: string }[] }[];
export function renderSite(): Map<string, string | Uint8Array>;
export function deadPageLinks(
  files: ReadonlyMap<string, string | Uint8Array>,
  at: string,
  isElsewhere?: (path: string) => boolean,
): string[];
