/** The difference of two blobs. */
export interface BlobDiff {
  /** Zeros for an absent side. */
  readonly leftOid: string;
  readonly rightOid: string;
  readonly isBinary: boolean;
  /** True if the patch exceeded the limit and was dropped. */
  readonly isOverLimit: boolean;
  /** Size of the patch in bytes, even if it was dropped. */
  readonly patchBytes: number;
  readonly linesAdded: number;
  readonly linesRemoved: number;
  /** The patch. */
  readonly pieces: readonly Buffer[];
}
