import type { CallersLimit } from '#base/limits/limit';
import type { TokenBuckets } from '#base/limits/token-buckets';
import { flag, nothing, number, object, text } from '#base/shape';
import type { TotalLimit } from '#domain/pack-objects/total-limit';
import type { Desk } from '#workers/desk';
import { answer, asked, held, named, protocol } from '#workers/protocol';

/** Limits that the supervisor applies to all processes; there is one for each key of the configuration. */
export const LIMIT = protocol('limit', {
  /** A turn of a key, which is held. The note says that it is not available immediately. */
  turn: held(text, object({ waitedMs: number, holders: number, waiting: number }), { note: nothing }),
});
export const RATE = protocol('rate', { take: asked(text, flag) });
export const PACK_LIMITS = protocol('packs', {
  /** A place for a repository, which is held. Remarks say whether git waits for the reader of its pack. */
  place: held(text, nothing, { note: nothing, remark: flag }),
});

/** Gives turns of a limit to workers. A turn is released at the latest when its worker ends. */
export function shareLimit(desk: Desk, name: string, limit: CallersLimit): void {
  answer(desk, named(LIMIT, name), {
    async turn(key, { note, signal }) {
      const { release, waitedMs } = await limit.acquire(key, { signal, onWait: note });
      return { value: { waitedMs, ...limit.callers(key) }, release };
    },
  });
}

/** Takes tokens for workers. */
export function shareBuckets(desk: Desk, name: string, buckets: TokenBuckets): void {
  answer(desk, named(RATE, name), { take: (key) => buckets.take(key) });
}

/** Gives workers places of the limit for all packs. */
export function sharePlaces(desk: Desk, name: string, places: TotalLimit): void {
  answer(desk, named(PACK_LIMITS, name), {
    async place(repository, { note, signal }) {
      let isHeldUp = false;
      const place = { repository, isHeldUp: () => isHeldUp };
      const release = await places.acquire(place, { signal, onWait: note });
      const onRemark = (remarked: boolean): void => {
        isHeldUp = remarked;
      };
      return { value: undefined, release, onRemark };
    },
  });
}
