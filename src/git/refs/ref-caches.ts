import { PackedLinesCache } from './packed-lines-cache.ts';
import { PackedRefsCache } from './packed-refs-cache.ts';
import { TipPeeler } from './peel-tips.ts';
import { ResolvedRefs } from './resolved-refs.ts';

/** What all readers of a server share. */
export interface RefCaches {
  readonly packed: PackedRefsCache;
  readonly resolved: ResolvedRefs;
  readonly lines: PackedLinesCache;
  readonly peeler: TipPeeler;
}

export function createRefCaches(): RefCaches {
  const packed = new PackedRefsCache();
  return { packed, resolved: new ResolvedRefs(), lines: new PackedLinesCache(packed), peeler: new TipPeeler() };
}
