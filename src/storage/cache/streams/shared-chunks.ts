import type { Produce, StreamCache } from './stream-cache.ts';
import type { LentBytes } from './stream-reader.ts';

/** Number of streams of other callers that a caller tries; the last one may be its own. */
const MAX_ATTEMPTS = 3;

export interface SharedChunksOptions<T> {
  readonly signal: AbortSignal;
  /** Called with the result of each lookup. */
  readonly onLookup?: (isHit: boolean) => void;
  /** Reports whether the complete stream may be kept. Default: yes. */
  readonly isComplete?: (result: T) => boolean;
}

/**
 * Yields the stream with this key: one that is kept or being produced, or a new one. If another
 * caller's stream fails before its first byte, this caller tries again, because the reason may be
 * that caller, or a damaged file. Returns the result of the producer.
 *
 * @throws the error of the stream, the signal's reason.
 */
export async function* sharedChunks<T>(
  streams: Pick<StreamCache<T>, 'open'>,
  key: string,
  produce: Produce<T>,
  { signal, onLookup, isComplete = () => true }: SharedChunksOptions<T>,
): AsyncGenerator<LentBytes, T, undefined> {
  for (let attempt = 1; ; attempt++) {
    const { isHit, reader } = streams.open(key, produce, isComplete);
    onLookup?.(isHit);
    try {
      return yield* reader.lentChunks(signal);
    } catch (error) {
      if (!isHit || reader.bytes > 0 || signal.aborted || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
