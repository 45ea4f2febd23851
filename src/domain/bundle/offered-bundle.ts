export interface OfferedBundle {
  /** Name in git's list. */
  readonly id: string;
  /** Whoever has it can download the bundle. */
  readonly url: string;
  /** git downloads bundles in the order of their tokens, and none twice. */
  readonly token: number;
}

export interface BundleUriOptions {
  /** Storage in the bucket; the virtual one behind a Praefect, so that nodes share bundles. */
  readonly storageName: string;
  readonly signal: AbortSignal;
}
