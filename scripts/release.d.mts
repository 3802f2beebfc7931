export const current: string;
export function namedVersions(): { path: string; named: string[] }[];
export function obstaclesTo(version: string): string[];
