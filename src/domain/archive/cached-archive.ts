import { messageOf } from '#base/gitaly-error';
import { stampOf } from '#git/repository-stamp';
import { cacheKey, openCached } from '#storage/cache/disk-cache';
import type { Repository } from '#storage/repository';
import type { ArchiveSource } from './archive-source.ts';
import type { ArchiveOptions } from './write-archive.ts';

export interface ArchiveCacheOptions {
  /** Time for which an archive may be sent again. */
  readonly maxAgeMs: number;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/**
 * Yields an archive from the storage's cache, or from `produce`, whose bytes are cached when it is
 * complete. The key has everything that an archive is made from, so the only reason for an age are
 * facts outside of the tree: attributes in `info`, references in `export-subst`, objects of LFS.
 */
export async function* cachedArchive(
  repository: Repository,
  { source, options }: { readonly source: ArchiveSource; readonly options: ArchiveOptions },
  produce: () => AsyncIterable<Buffer>,
  { maxAgeMs, log }: ArchiveCacheOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { format, prefix, lfs } = options;
  const period = Math.floor(Date.now() / maxAgeMs);
  const facts = [stampOf(repository), repository.git.version, `${period} of ${maxAgeMs}`];
  const wanted = [format, prefix, lfs === undefined ? '' : `lfs ${repository.glRepository}`];
  const key = cacheKey(['archive', repository.path, ...facts, ...wanted, source.tree, ...source.pathspecs]);
  const onCacheError = (error: unknown): void => log.add({ archive_cache_error: messageOf(error) });
  const { hit, content } = await openCached(repository.storage, key, produce, { onCacheError });
  log.add({ archive_cache: hit ? 'hit' : 'miss' });
  yield* content;
}
