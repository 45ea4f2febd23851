import type { Produce, StreamCache } from './stream-cache.ts';
import type { LentBytes } from './stream-reader.ts';

/** Streams of others that a caller tries; the last one may be its own. */
const MAX_ATTEMPTS = 3;

export interface SharedChunksOptions {
  readonly signal: AbortSignal;
  /** Called with the result of each lookup. */
  readonly onLookup: (isHit: boolean) => void;
}

/**
 * Yields the stream with this key: one that is kept or under way, or a new one. If that of somebody
 * else fails before its first byte, the caller tries again: the reason may be the first caller, or
 * a damaged file.
 *
 * @throws the error of the stream, the signal's reason.
 */
export async function* sharedChunks(
  streams: Pick<StreamCache<void>, 'open'>,
  key: string,
  produce: Produce<void>,
  { signal, onLookup }: SharedChunksOptions,
): AsyncGenerator<LentBytes, void, undefined> {
  for (let attempt = 1; ; attempt++) {
    const { isHit, reader } = streams.open(key, produce, () => true);
    onLookup(isHit);
    try {
      yield* reader.lentChunks(signal);
      return;
    } catch (error) {
      if (!isHit || reader.bytes > 0 || signal.aborted || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
