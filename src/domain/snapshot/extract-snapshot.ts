import { type ExtractOptions, extractArchive } from '#storage/archive/extract-archive';
import type { Repository } from '#storage/repository';
import { safeConfig } from './safe-config.ts';

/**
 * Names that {@link createSnapshot} writes. Others could be harmful: hooks, alternates that lead to
 * the objects of other repositories.
 */
const WANTED =
  /^(?:HEAD|packed-refs|config|shallow|(?:refs|reftable|branches)(?:\/.+)?|objects(?:\/[0-9a-f]{2}(?:\/(?:[0-9a-f]{38}|[0-9a-f]{62}))?|\/pack(?:\/pack-(?:[0-9a-f]{40}|[0-9a-f]{64})\.(?:pack|idx))?)?)$/;

/**
 * Options of a repository over which a snapshot is unpacked. Those of either format can replace the
 * empty directories of `refs`; the file `refs/heads` of a reftable cannot be replaced.
 */
export const DRAFT_OF_SNAPSHOT = { referenceBackend: 'files' } as const;

/**
 * Unpacks a snapshot over a fresh repository that is not in use. Only the format of the repository
 * is taken from the snapshot's configuration.
 *
 * @returns the number of entries in the archive.
 * @throws as {@link extractArchive}.
 */
export async function extractSnapshot(
  bytes: AsyncIterable<Uint8Array>,
  draft: Repository,
  options: Pick<ExtractOptions, 'signal' | 'maxBytes'>,
): Promise<number> {
  return await extractArchive(bytes, draft.path, {
    ...options,
    isWanted: (path) => WANTED.test(path),
    filter: (path) => (path === 'config' ? safeConfig : undefined),
  });
}
