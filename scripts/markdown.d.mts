export const ROOT: string;
export function documents(): string[];
export function slugOf(heading: string, known?: Map<string, number>): string;
export function anchorsOf(markdown: string): Set<string>;
export function linksOf(markdown: string): string[];
export function targetOf(path: string, link: string): { path: string; anchor: string } | undefined;
export function deadLinks(path: string, isThere?: (target: string) => boolean): string[];
export function isFolder(path: string): boolean;
