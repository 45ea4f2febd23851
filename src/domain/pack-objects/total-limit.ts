import { Limit, type LimitPolicy, type Turn } from '#base/limits/limit';

/**
 * Time after which a pack whose reader holds git up no longer counts, so that one that waits can
 * start: such packs use no processor, and a reader that is gone must not block others. Time in
 * which git continues is subtracted.
 */
export const MAX_HELD_UP_MS = 2000;
/** Time after which a pack no longer counts if one of a repository without a running pack waits. */
export const MAX_TURN_MS = 5000;
export const LOOK_MS = 250;

/** A request for a place. */
export interface PackPlace {
  /** Path of the repository. */
  readonly repository: string;
  /** Reports whether git waits for the reader of its pack. */
  readonly isHeldUp: () => boolean;
}

interface PlacedPack extends PackPlace {
  readonly since: number;
  readonly turn: Turn;
  heldUpMs: number;
}

export interface PackPlaceOptions {
  readonly signal: AbortSignal;
  /** Called if there is none at once. */
  readonly onWait?: () => void;
}

/** A limit of all packs of a server. */
export interface PackPlaces {
  readonly inUse: number;
  readonly waiting: number;
  /**
   * Waits for a place. The result gives it back.
   *
   * @throws as {@link Limit.acquire}.
   */
  acquire(place: PackPlace, options: PackPlaceOptions): Promise<() => void>;
}

/**
 * The limit of all packs in one process. A pack that git computes keeps its place while only
 * further packs of its repository wait.
 */
export class TotalLimit implements PackPlaces {
  readonly #limit: Limit<string>;
  /** Packs with a place in the order of their beginning. */
  readonly #placed = new Set<PlacedPack>();
  readonly #waiting = new Set<PackPlace>();
  #look: NodeJS.Timeout | undefined;

  constructor(policy: LimitPolicy) {
    this.#limit = new Limit(policy);
  }

  get inUse(): number {
    return this.#limit.inUse;
  }

  get waiting(): number {
    return this.#limit.waiting;
  }

  /** Takes a place at once; `undefined` if there is none. */
  take(place: PackPlace): (() => void) | undefined {
    const turn = this.#limit.take(place.repository);
    return turn && this.#begin(place, turn);
  }

  async acquire(place: PackPlace, { onWait, signal }: PackPlaceOptions): Promise<() => void> {
    const taken = this.take(place);
    if (taken !== undefined) return taken;
    this.#waiting.add(place);
    this.#look ??= setInterval(() => this.#endTurns(), LOOK_MS).unref();
    try {
      const acquired = this.#limit.acquire(place.repository, { signal });
      onWait?.();
      return this.#begin(place, await acquired);
    } finally {
      this.#waiting.delete(place);
    }
  }

  #begin(place: PackPlace, turn: Turn): () => void {
    const placed = { ...place, since: performance.now(), turn, heldUpMs: 0 };
    this.#placed.add(placed);
    return () => this.#end(placed);
  }

  #end(placed: PlacedPack): void {
    if (this.#placed.delete(placed)) placed.turn.release();
  }

  /** Ends as many turns as others wait for, those with the oldest beginning first. */
  #endTurns(): void {
    const oldest = performance.now() - MAX_TURN_MS;
    let wanted = this.#limit.waiting;
    let newcomers = this.#repositoriesWithoutPlace();
    for (const placed of this.#placed) {
      placed.heldUpMs = Math.max(0, placed.heldUpMs + (placed.isHeldUp() ? LOOK_MS : -LOOK_MS));
      const isHeldUp = placed.heldUpMs >= MAX_HELD_UP_MS;
      if (wanted <= 0 || !(isHeldUp || (newcomers > 0 && placed.since <= oldest))) continue;
      wanted--;
      newcomers--;
      this.#end(placed);
    }
    if (this.#limit.waiting > 0) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  /** Returns how many repositories wait for their first place. */
  #repositoriesWithoutPlace(): number {
    const waiting = new Set(Array.from(this.#waiting, ({ repository }) => repository));
    for (const { repository } of this.#placed) waiting.delete(repository);
    return waiting.size;
  }
}
