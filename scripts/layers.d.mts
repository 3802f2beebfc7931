/** What a folder of `src/` may import. */
export interface Layer {
  readonly imports: ReadonlySet<string>;
  /** Those of them of which only types may be imported. */
  readonly types: ReadonlySet<string>;
  readonly isPure: boolean;
}
export function readLayers(text?: string): Map<string, Layer>;
export function faultsOf(file: string, source: string, layers: ReadonlyMap<string, Layer>): string[];
export function checkLayers(): string[];
