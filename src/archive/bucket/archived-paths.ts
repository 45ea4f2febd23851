import type { ArchiveBucket } from './archive-bucket.ts';

const PREFIX = 'path/';

/** Yields the paths that repositories have or had in an archive, in the order of their keys. */
export async function* archivedPaths({
  environment,
}: Pick<ArchiveBucket, 'environment'>): AsyncGenerator<string> {
  let last: string | undefined;
  for await (const page of environment.bucket.list(PREFIX))
    for (const { key } of page) {
      const escaped = key.slice(PREFIX.length, key.lastIndexOf('/'));
      if (escaped === last) continue;
      last = escaped;
      yield decodeURIComponent(escaped);
    }
}
