import { lfsIdsOf } from '#domain/settings/lfs-ids';
import { lfsPointersOf } from '#domain/settings/lfs-pointers';
import { eachConcurrently } from '#object-store/each-concurrently';
import type { ObjectStore } from '#object-store/object-store';
import type { Repository } from '#storage/repository';
import { type ArchiveBucket, lfsFilesOf } from '../bucket/archive-bucket.ts';
import { copyLfsFile } from './copy-lfs-file.ts';

/** Files that are downloaded at once for one repository. */
const AT_ONCE = 4;
/** Files that a result names. */
const MAX_NAMED = 10;

/**
 * Puts the files that a restored repository names into the store of the server, where they are
 * missing.
 *
 * @returns a sentence about those that neither the archive nor the store has; empty if all are
 *   there.
 */
export async function restoreLfsFiles(
  repository: Repository,
  { bucket, signal, store }: { bucket: ArchiveBucket; store: ObjectStore; signal: AbortSignal },
): Promise<string> {
  const [own, ...sources] = await lfsIdsOf(repository);
  if (own === undefined) return '';
  const options = { ids: [own, ...sources], from: lfsFilesOf(bucket), to: store, signal } as const;
  const lost = { count: 0, names: new Set<string>() };
  const lose = (oid: string): void => {
    lost.count++;
    if (lost.names.size < MAX_NAMED) lost.names.add(oid);
  };
  for await (const pointers of lfsPointersOf(repository, ['--all'], signal))
    await eachConcurrently(pointers, AT_ONCE, async ({ fileOid: oid, fileSize }) => {
      if (fileSize === 0n) return; // git-lfs stores no empty files
      try {
        const result = await copyLfsFile({ oid, size: Number(fileSize) }, options);
        if (result === 'missing') lose(oid);
      } catch {
        signal.throwIfAborted();
        lose(oid); // it is damaged, or cannot be read
      }
    });
  if (lost.count === 0) return '';
  const more = lost.count > lost.names.size ? ` and ${lost.count - lost.names.size} more` : '';
  const what = lost.count === 1 ? 'a file' : `${lost.count} files`;
  return `${what} of Git LFS could not be restored: ${[...lost.names].join(', ')}${more}`;
}
