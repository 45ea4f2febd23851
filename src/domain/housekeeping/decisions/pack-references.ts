import type { ReferencesState } from '../repository-state.ts';

/** Number of loose references that are accepted even if `packed-refs` is small. */
const MIN_LOOSE_REFERENCES = 16;
/** Size in bytes of a line of `packed-refs`. */
const LINE_BYTES = 100;
/**
 * Base of the logarithm of the number of packed references that gives the accepted number of loose
 * ones: 49 at 100 KiB, 99 at 10 MiB. The whole file is written anew.
 */
const LOOSE_REFERENCES_BASE = 1.15;
/** A table must be this many times as large as all newer ones (git's default factor). */
const GEOMETRIC_FACTOR = 2;
/** Size in bytes of a table's header and footer, which grow with no reference. */
const TABLE_OVERHEAD_BYTES = 28;

/** Reports whether the references should be packed. */
export function shouldPackReferences(references: ReferencesState): boolean {
  switch (references.backend) {
    case 'files':
      return (
        references.looseCount > 0 && references.looseCount >= maxLooseReferences(references.packedSizeBytes)
      );
    case 'reftable':
      return references.tableSizesBytes.some((size, index, sizes) => {
        const newer = sizes[index + 1];
        return (
          newer !== undefined &&
          size - TABLE_OVERHEAD_BYTES < GEOMETRIC_FACTOR * (newer - TABLE_OVERHEAD_BYTES)
        );
      });
    case 'other':
      return false;
  }
}

/** Returns the number of loose references at which `packed-refs` of a size is written anew. */
export function maxLooseReferences(packedSizeBytes: number): number {
  const accepted = Math.log(packedSizeBytes / LINE_BYTES) / Math.log(LOOSE_REFERENCES_BASE);
  return Math.trunc(Math.max(MIN_LOOSE_REFERENCES, accepted));
}
