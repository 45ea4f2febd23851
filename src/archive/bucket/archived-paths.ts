import { PATHS_PREFIX, pathOfKey } from '#generations/keys';
import type { ArchiveBucket } from './archive-bucket.ts';

/** Yields the paths that repositories have or had in an archive, in the order of their keys. */
export async function* archivedPaths({
  environment,
}: Pick<ArchiveBucket, 'environment'>): AsyncGenerator<string> {
  let last: string | undefined;
  for await (const page of environment.bucket.list(PATHS_PREFIX))
    for (const { key } of page) {
      const path = pathOfKey(key);
      if (path === undefined || path === last) continue;
      last = path;
      yield path;
    }
}
