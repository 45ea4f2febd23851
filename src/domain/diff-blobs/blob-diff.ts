/** How two blobs differ. */
export interface BlobDiff {
  /** Zeros where a side is absent. */
  readonly leftOid: string;
  readonly rightOid: string;
  readonly isBinary: boolean;
  /** The patch was longer than allowed, and was dropped. */
  readonly isOverLimit: boolean;
  /** Bytes of the patch, also of a dropped one. */
  readonly patchBytes: number;
  readonly linesAdded: number;
  readonly linesRemoved: number;
  /** The patch. */
  readonly pieces: readonly Buffer[];
}
