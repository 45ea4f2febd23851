import type { KeyedLimit } from '#base/limits/keyed-limit';
import type { TokenBuckets } from '#base/limits/token-buckets';
import type { TotalLimit } from '#domain/pack-objects/total-limit';
import type { Answer, Asked } from '#workers/link';

type Handler = (value: unknown, asked: Asked) => Promise<Answer>;

/** Tells a worker that its turn is not available immediately. */
export const QUEUED = 'queued';

/** A turn for a worker. */
export interface GrantedTurn {
  readonly waitedMs: number;
  readonly holders: number;
  readonly waiting: number;
}

/**
 * Returns a handler that gives turns of a limit to workers. A turn is released at the latest when
 * its worker ends.
 */
export function answerForLimit(limit: KeyedLimit): Handler {
  return async (value, { note, signal }) => {
    const key = String(value);
    const turn = await limit.acquire(key, signal, () => note(QUEUED));
    const granted: GrantedTurn = { waitedMs: turn.waitedMs, ...limit.callers(key) };
    return { value: granted, release: turn.release };
  };
}

/** Returns a handler that takes tokens for workers. */
export function answerForBuckets(buckets: TokenBuckets): Handler {
  return async (value) => ({ value: buckets.take(String(value)) });
}

/** Returns a handler that gives workers places of the limit for all packs. */
export function answerForPacks(places: TotalLimit): Handler {
  const owners = new Map<string, { packs: number }>();
  return async (value, { note, signal }) => {
    const repository = String(value);
    const owner = owners.get(repository) ?? { packs: 0 };
    owners.set(repository, owner);
    owner.packs++;
    const leave = (): void => {
      if (--owner.packs === 0) owners.delete(repository);
    };
    let isHeldUp = false;
    const place = { owner, isHeldUp: () => isHeldUp };
    try {
      const release = await places.acquire(place, { signal, onWait: () => note(QUEUED) });
      return {
        onRemark: (held) => {
          isHeldUp = held === true;
        },
        release: () => {
          release();
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  };
}
