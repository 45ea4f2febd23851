import { availableParallelism, totalmem } from 'node:os';

/** git's processes for one pack of a large repository take about this much memory. */
const PACK_BYTES = 512 * 1024 * 1024;
/** Packs of a core: most of them wait for their client's network. */
const PACKS_PER_CORE = 4;
const MIN_PACKS = 4;

/**
 * Returns how many packs may be made at once. @param configured 0 for the default, less for no
 * limit.
 */
export function maxTotal(configured: number): number | undefined {
  if (configured < 0) return undefined;
  if (configured > 0) return configured;
  const byMemory = Math.floor(usableMemory() / PACK_BYTES);
  return Math.max(MIN_PACKS, Math.min(PACKS_PER_CORE * availableParallelism(), byMemory));
}

/** Memory of the machine, or of the control group if that is less. */
function usableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
