import {
  LOOK_MS,
  type PackPlace,
  type PackPlaceOptions,
  type PackPlaces,
} from '#domain/pack-objects/total-limit';
import type { Held, Link } from '#workers/link';
import { named, type Remote, remote } from '#workers/protocol';
import { PACK_LIMITS } from './share-limits.ts';

/** A pack of this process that has a place. */
interface Placed {
  readonly place: PackPlace;
  readonly held: Held<void, boolean>;
  isHeldUp: boolean;
}

/**
 * The limit of all packs, which the supervisor applies to all processes. It receives whether
 * git waits for the reader of a pack, because it may give the places of such packs to others.
 */
export class RemotePackPlaces implements PackPlaces {
  readonly #place: Remote<typeof PACK_LIMITS>['place'];
  readonly #placed = new Set<Placed>();
  #look: NodeJS.Timeout | undefined;
  #waiting = 0;

  constructor(link: Link, name: string) {
    this.#place = remote(link, named(PACK_LIMITS, name)).place;
  }

  get inUse(): number {
    return this.#placed.size;
  }

  /** Packs of this process that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  async acquire(place: PackPlace, { onWait, signal }: PackPlaceOptions): Promise<() => void> {
    let isWaiting = false;
    const onNote = (): void => {
      isWaiting = true;
      this.#waiting++;
      onWait?.();
    };
    try {
      const held = await this.#place(place.repository, { signal, onNote });
      return this.#begin({ place, held, isHeldUp: false });
    } finally {
      if (isWaiting) this.#waiting--;
    }
  }

  #begin(placed: Placed): () => void {
    this.#placed.add(placed);
    this.#look ??= setInterval(() => this.#remark(), LOOK_MS).unref();
    return () => {
      placed.held.release();
      this.#placed.delete(placed);
      if (this.#placed.size > 0) return;
      clearInterval(this.#look);
      this.#look = undefined;
    };
  }

  #remark(): void {
    for (const placed of this.#placed) {
      const isHeldUp = placed.place.isHeldUp();
      if (isHeldUp !== placed.isHeldUp) placed.held.remark(isHeldUp);
      placed.isHeldUp = isHeldUp;
    }
  }
}
