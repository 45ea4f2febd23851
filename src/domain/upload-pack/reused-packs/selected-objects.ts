import type { BitmappedPacks } from '#git/objects/bitmap/bitmapped-packs';
import type { PackOrder } from '#git/objects/bitmap/pack-order';

/** The objects of some packs that are sent. */
export interface SelectedObjects {
  readonly packs: BitmappedPacks;
  readonly order: PackOrder;
  /** By the order. */
  readonly bits: Uint32Array;
  readonly oidBytes: number;
}
