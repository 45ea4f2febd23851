import { FairLimit, type FairLimitOptions } from '#base/limits/fair-limit';

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

interface Turn extends PackPlace {
  readonly since: number;
  readonly release: () => void;
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
   * @throws as {@link FairLimit.acquire}.
   */
  acquire(place: PackPlace, options: PackPlaceOptions): Promise<() => void>;
}

/**
 * The limit of all packs in one process. A pack that git computes keeps its place while only
 * further packs of its repository wait.
 */
export class TotalLimit implements PackPlaces {
  readonly #limit: FairLimit<string>;
  /** Turns in the order of their beginning. */
  readonly #turns = new Set<Turn>();
  readonly #waiting = new Set<PackPlace>();
  #look: NodeJS.Timeout | undefined;

  constructor(options: FairLimitOptions) {
    this.#limit = new FairLimit(options);
  }

  get inUse(): number {
    return this.#limit.inUse;
  }

  get waiting(): number {
    return this.#limit.waiting;
  }

  /** Takes a place at once; `undefined` if there is none. */
  tryAcquire(place: PackPlace): (() => void) | undefined {
    const release = this.#limit.tryAcquire(place.repository);
    return release && this.#begin(place, release);
  }

  async acquire(place: PackPlace, { onWait, signal }: PackPlaceOptions): Promise<() => void> {
    const taken = this.tryAcquire(place);
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

  #begin(place: PackPlace, release: () => void): () => void {
    const turn = { ...place, since: performance.now(), release, heldUpMs: 0 };
    this.#turns.add(turn);
    return () => this.#end(turn);
  }

  #end(turn: Turn): void {
    if (this.#turns.delete(turn)) turn.release();
  }

  /** Ends as many turns as others wait for, those with the oldest beginning first. */
  #endTurns(): void {
    const oldest = performance.now() - MAX_TURN_MS;
    let wanted = this.#limit.waiting;
    let newcomers = this.#repositoriesWithoutPlace();
    for (const turn of this.#turns) {
      turn.heldUpMs = Math.max(0, turn.heldUpMs + (turn.isHeldUp() ? LOOK_MS : -LOOK_MS));
      const isHeldUp = turn.heldUpMs >= MAX_HELD_UP_MS;
      if (wanted <= 0 || !(isHeldUp || (newcomers > 0 && turn.since <= oldest))) continue;
      wanted--;
      newcomers--;
      this.#end(turn);
    }
    if (this.#limit.waiting > 0) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  /** Returns how many repositories wait for their first place. */
  #repositoriesWithoutPlace(): number {
    const waiting = new Set(Array.from(this.#waiting, ({ repository }) => repository));
    for (const { repository } of this.#turns) waiting.delete(repository);
    return waiting.size;
  }
}
