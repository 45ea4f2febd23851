import { partOfKey } from '#generations/keys';
import { type ArchiveBucket, chainOf, lfsFilesOf } from '../bucket/archive-bucket.ts';
import { unlessGivenUp } from '../maintain/given-up.ts';
import { archivedLfsIds } from './lfs-ids.ts';

/** The commit of a younger file may be on its way to the archive. */
const MIN_AGE_MS = 7 * 24 * 3600_000;
const REPOSITORIES = 'r/';

/**
 * Deletes the files of Git LFS under ids that no repository of the archive names, also none that
 * was removed and is kept. All files of the others are kept.
 *
 * @throws if a repository cannot be read: then nothing is deleted.
 */
export async function pruneLfsFiles(
  bucket: ArchiveBucket,
  signal: AbortSignal,
  nowMs = Date.now(),
): Promise<void> {
  const files = lfsFilesOf(bucket);
  const unnamed = new Set<string>();
  for await (const page of files.listFolders('', { signal }))
    for (const folder of page) unnamed.add(folder.slice(0, -1));
  if (unnamed.size === 0) return;
  for await (const page of bucket.store.listFolders(REPOSITORIES, { signal }))
    for (const folder of page) {
      const id = partOfKey(folder)?.id;
      if (id === undefined) continue;
      // What replaced a chain that was given up names its files.
      const followed = await unlessGivenUp(bucket, id, () => chainOf(bucket, id).follow());
      if (followed !== undefined) for (const named of archivedLfsIds(followed.state)) unnamed.delete(named);
    }
  for (const id of unnamed)
    for await (const page of files.list(`${id}/`, { signal })) {
      const old = page.filter(({ modifiedMs }) => nowMs - modifiedMs > MIN_AGE_MS);
      if (old.length > 0)
        await files.delete(
          old.map(({ key }) => key),
          { signal },
        );
    }
}
