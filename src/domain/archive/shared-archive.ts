import { stampOfRepository } from '#git/repository-files/repository-stamp';
import { cacheKey } from '#storage/cache/cache-key';
import { sharedChunks } from '#storage/cache/streams/shared-chunks';
import type { Produce, StreamCache } from '#storage/cache/streams/stream-cache';
import type { LentBytes } from '#storage/cache/streams/stream-reader';
import type { Repository } from '#storage/repository';
import type { ArchiveSource } from './archive-source.ts';
import { type WriteArchiveOptions, writeArchive } from './write-archive.ts';

/** Archives that identical requests share. */
export interface SharedArchives {
  readonly streams: StreamCache<void>;
  /** True if archives are kept; each call then logs its lookup. */
  readonly isCacheEnabled: boolean;
}

export interface SharedArchiveOptions {
  readonly signal: AbortSignal;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/**
 * Yields an archive that is kept, or that is being written for another call, or a new one. The key
 * has everything that an archive is made from, so the only reason for an age are facts outside of
 * the tree: attributes in `info`, references in `export-subst`, objects of LFS.
 *
 * @throws {GitExitError} when git fails, possibly after the first bytes.
 */
export async function* sharedArchive(
  repository: Repository,
  { source, options }: { readonly source: ArchiveSource; readonly options: WriteArchiveOptions },
  { streams, isCacheEnabled }: SharedArchives,
  { signal, log }: SharedArchiveOptions,
): AsyncGenerator<LentBytes, void, undefined> {
  const { format, prefix, lfs } = options;
  const facts = [stampOfRepository(repository), repository.git.version];
  const wanted = [format, prefix, lfs === undefined ? '' : `lfs ${repository.glRepository}`];
  const key = cacheKey(['archive', repository.path, ...facts, ...wanted, source.tree, ...source.pathspecs]);
  const produce: Produce<void> = (writer, aborted) =>
    writeArchive(repository, source, options, { writer, signal: aborted });
  const onLookup = (isHit: boolean): void => {
    if (isHit || isCacheEnabled) log.add({ archive_cache: isHit ? 'hit' : 'miss' });
  };
  yield* sharedChunks(streams, key, produce, { signal, onLookup });
}
