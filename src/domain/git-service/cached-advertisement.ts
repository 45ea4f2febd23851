import { messageOf } from '#base/gitaly-error';
import { InvariantError } from '#base/invariant';
import { currentGeneration } from '#storage/cache/cache-generations';
import { cacheKey } from '#storage/cache/cache-key';
import type { StreamCacheSettings } from '#storage/cache/streams/open-stream-cache';
import { sharedChunks } from '#storage/cache/streams/shared-chunks';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import type { LentBytes } from '#storage/cache/streams/stream-reader';
import type { Repository } from '#storage/repository';

/** Time for which an advertisement is kept if git, or another program, changes the repository. */
const AGE_MS = 5 * 60 * 1000;
/** An advertisement of some 15,000 references stays in memory. */
const MEMORY_BYTES = 1 << 20;

/** Settings of the cache of advertisements. It is always enabled. */
export const ADVERTISEMENT_CACHE: Omit<StreamCacheSettings, 'directory'> = {
  maxAgeMs: AGE_MS,
  minOccurrences: 0,
  hasBackpressure: false,
  maxBytes: 0,
  smallBytes: MEMORY_BYTES,
};

/** Does nothing: git's own output is not used again. */
function keep(): void {}

/** Notified of lookups in the cache of advertisements, for metrics. */
export interface CacheObserver {
  /** A lookup, and its result. */
  diskCache(event: 'attempt' | 'hit' | 'miss' | 'err'): void;
  /** Bytes that went into the cache or came from it. */
  diskCacheBytes(direction: 'stored' | 'fetched', bytes: number): void;
}

export interface CachedAdvertisementOptions {
  /** Advertisements that are kept or under way. */
  readonly streams: StreamCache<void>;
  /** Returns everything that the advertisement depends on, in the order of the key. */
  keyParts(generation: string): Parameters<typeof cacheKey>[0];
  readonly observe: CacheObserver | undefined;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
  readonly signal: AbortSignal;
}

/**
 * Yields an advertisement that was produced for this generation of the repository, or is being
 * produced for another call, or produces it. During a change nothing is shared: its readers may
 * see different states.
 *
 * @param produce yields the advertisement. Its signal is aborted when nothing needs it any more.
 */
export async function* cachedAdvertisement(
  repository: Repository,
  produce: (signal: AbortSignal) => AsyncGenerator<Buffer>,
  { keyParts, streams, observe, log, signal }: CachedAdvertisementOptions,
): AsyncGenerator<LentBytes> {
  observe?.diskCache('attempt');
  const generation = await generationOrError();
  if (generation === undefined) {
    for await (const bytes of produce(signal)) yield { bytes, giveBack: keep };
    return;
  }
  log.add({ diskcache: generation });
  let direction: 'stored' | 'fetched' = 'stored';
  const chunks = sharedChunks(
    streams,
    cacheKey(keyParts(generation)),
    async (writer, aborted) => {
      for await (const bytes of produce(aborted)) await writer.write(bytes);
    },
    {
      signal,
      onLookup: (isHit) => {
        observe?.diskCache(isHit ? 'hit' : 'miss');
        direction = isHit ? 'fetched' : 'stored';
      },
    },
  );
  for await (const lent of chunks) {
    observe?.diskCacheBytes(direction, lent.bytes.length);
    yield lent;
  }

  /** A state that cannot be read is logged and counted; then nothing is cached. @throws {InvariantError} */
  async function generationOrError(): Promise<string | undefined> {
    try {
      return await currentGeneration(repository);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      observe?.diskCache('err');
      log.add({ 'diskcache.error': messageOf(error) });
      return undefined;
    }
  }
}
