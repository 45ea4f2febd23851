import { PackedLinesCache } from './packed-lines-cache.ts';
import { PackedRefsCache } from './packed-refs-cache.ts';
import { PackedSums } from './packed-sums.ts';
import { TipPeeler } from './peel-tips.ts';
import { ResolvedRefs } from './resolved-refs.ts';

/** Caches shared by all readers of a server. */
export interface RefCaches {
  readonly packed: PackedRefsCache;
  readonly resolved: ResolvedRefs;
  readonly lines: PackedLinesCache;
  readonly peeler: TipPeeler;
  readonly sums: PackedSums;
}

export function createRefCaches(): RefCaches {
  const packed = new PackedRefsCache();
  return {
    packed,
    resolved: new ResolvedRefs(),
    lines: new PackedLinesCache(packed),
    peeler: new TipPeeler(),
    sums: new PackedSums(),
  };
}
