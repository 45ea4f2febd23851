import { type ExtractOptions, extractArchive } from '#storage/archive/extract-archive';
import type { Repository } from '#storage/repository';

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

/** Both match lines without surrounding space. */
const SECTION = /^\[\s*([a-z]+)\s*\]$/i;
const SETTING = /^([a-z]+)\s*=(?:\s*[a-z0-9]+)?$/i;
/** Settings that describe files; none names a program or another place. */
const KEPT = new Set([
  'core.repositoryformatversion',
  'core.filemode',
  'core.bare',
  'extensions.objectformat',
  'extensions.compatobjectformat',
  'extensions.refstorage',
  'extensions.noop',
]);

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

/**
 * Returns the part of a `config` file from a stranger that git may read: the format of the
 * repository. Lines that are kept stay as they are.
 */
export function safeConfig(content: Buffer): Buffer {
  let section = '';
  const kept = content
    .toString('latin1')
    .split('\n')
    .filter((line) => {
      const text = line.trim();
      const begun = SECTION.exec(text)?.[1];
      if (begun !== undefined) {
        section = begun.toLowerCase();
        return section === 'core' || section === 'extensions';
      }
      if (text === '') return true;
      if (text.startsWith('[')) section = '';
      const key = SETTING.exec(text)?.[1];
      return key !== undefined && KEPT.has(`${section}.${key.toLowerCase()}`);
    });
  return Buffer.from(kept.join('\n'), 'latin1');
}
