import { BriefMemory } from '#base/brief-memory';
import { messageOf } from '#base/gitaly-error';
import { currentGeneration } from '#storage/cache/cache-generations';
import { cacheKey, openCached } from '#storage/cache/disk-cache';
import type { Repository } from '#storage/repository';

/** Notified of lookups in the disk cache, for metrics. */
export interface CacheObserver {
  /** A lookup, and its result. */
  diskCache(event: 'attempt' | 'hit' | 'miss' | 'err'): void;
  /** Bytes that went into the cache or came from it. */
  diskCacheBytes(direction: 'stored' | 'fetched', bytes: number): void;
}

export interface CachedAdvertisementOptions {
  /** Returns everything that the advertisement depends on, in the order of the key. */
  keyParts(generation: string): Parameters<typeof cacheKey>[0];
  /** Advertisements that were read from the disk lately, by their keys. */
  readonly memory: BriefMemory<readonly Buffer[]>;
  readonly observe: CacheObserver | undefined;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/** Limit of one advertisement in memory: some 15,000 references. */
const MAX_KEPT_BYTES = 1 << 20;

/** Returns a memory for advertisements. A key names the generation of the repository. */
export function advertisementMemory(): BriefMemory<readonly Buffer[]> {
  return new BriefMemory({
    maxBytes: 16 << 20,
    maxValueBytes: MAX_KEPT_BYTES,
    maxAgeMs: 60_000,
    sizeOf: (chunks) => chunks.reduce((sum, { length }) => sum + length, 0),
  });
}

/**
 * Yields an advertisement from memory or the disk cache, or produces and caches it. What memory has
 * counts as read from the disk. A failure of the cache is logged and counted, and the advertisement
 * is produced.
 */
export async function* cachedAdvertisement(
  repository: Repository,
  produce: () => AsyncGenerator<Buffer>,
  { keyParts, memory, observe, log }: CachedAdvertisementOptions,
): AsyncGenerator<Buffer> {
  observe?.diskCache('attempt');
  const onCacheError = (error: unknown): undefined => {
    observe?.diskCache('err');
    log.add({ 'diskcache.error': messageOf(error) });
  };
  const opened = await open().catch(onCacheError);
  if (opened === undefined) {
    yield* produce();
    return;
  }
  observe?.diskCache(opened.hit ? 'hit' : 'miss');
  for await (const bytes of opened.content) {
    observe?.diskCacheBytes(opened.hit ? 'fetched' : 'stored', bytes.length);
    yield bytes;
  }

  async function open() {
    const generation = await currentGeneration(repository);
    if (generation === undefined) return undefined;
    log.add({ diskcache: generation });
    const key = cacheKey(keyParts(generation));
    const kept = memory.get(key);
    if (kept !== undefined) return { hit: true, content: kept };
    const opened = await openCached(repository.storage, key, produce, { onCacheError });
    return opened.hit ? { hit: true, content: keeping(opened.content, key) } : opened;
  }

  async function* keeping(content: AsyncIterable<Buffer>, key: string): AsyncGenerator<Buffer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of content) {
      bytes += chunk.length;
      if (bytes <= MAX_KEPT_BYTES) chunks.push(chunk);
      yield chunk;
    }
    if (bytes <= MAX_KEPT_BYTES) memory.set(key, chunks);
  }
}
