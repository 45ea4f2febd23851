import { FairLimit, type FairLimitOptions } from '#base/fair-limit';

/**
 * Time after which a pack gives its place to one that waits. git counts and compresses first, and
 * then waits for its reader, who may be slow or gone: such packs must not keep all others out.
 */
export const MAX_TURN_MS = 5000;
const LOOK_MS = 250;

interface Turn {
  readonly since: number;
  readonly release: () => void;
}

/** A limit of all packs of a server, whose owners are repositories. */
export class TotalLimit {
  readonly #limit: FairLimit<object>;
  /** Turns in the order of their beginning. */
  readonly #turns = new Set<Turn>();
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
  tryAcquire(owner: object): (() => void) | undefined {
    const release = this.#limit.tryAcquire(owner);
    return release && this.#begin(release);
  }

  /** Waits for a place. @throws as {@link FairLimit.acquire}. */
  async acquire(owner: object, options: { readonly signal: AbortSignal }): Promise<() => void> {
    const waiting = this.#limit.acquire(owner, options);
    this.#look ??= setInterval(() => this.#endOldTurns(), LOOK_MS).unref();
    return this.#begin(await waiting);
  }

  #begin(release: () => void): () => void {
    const turn = { since: performance.now(), release };
    this.#turns.add(turn);
    return () => this.#end(turn);
  }

  #end(turn: Turn): void {
    if (this.#turns.delete(turn)) turn.release();
  }

  /** Ends as many old turns as others wait for. */
  #endOldTurns(): void {
    const oldest = performance.now() - MAX_TURN_MS;
    let wanted = this.#limit.waiting;
    for (const turn of this.#turns) {
      if (wanted-- <= 0 || turn.since > oldest) break;
      this.#end(turn);
    }
    if (this.#limit.waiting > 0) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }
}
