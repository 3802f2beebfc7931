export function pictures(): Map<string, string>;
