import { GitalyError, wrap } from '#base/gitaly-error';
import { TarFormatError } from '#base/tar/read-tar';
import { createRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { type Download, download } from '../remote/url/download.ts';
import { OUTGOING_LIMITS } from '../remote/url/run-outgoing.ts';
import { DRAFT_OF_SNAPSHOT, extractSnapshot } from '../snapshot/extract-snapshot.ts';
import type { CreateFromBundleOptions } from './create-from-bundle.ts';

export interface CreateFromSnapshotOptions extends CreateFromBundleOptions {
  readonly source: Omit<Download, 'signal'>;
}

/**
 * Creates a repository from the snapshot that a web server sends, whole or not at all. The archive
 * may be hostile: only references, objects and the format of the repository are taken from it.
 *
 * @throws {GitalyError} ALREADY_EXISTS; `extracting snapshot: …`, for a damaged or hostile archive
 *   INTERNAL `exit status 2`, as the program tar ends in Gitaly. The file is named if others of the
 *   archive are in its place.
 */
export async function createFromSnapshot(
  storages: Storages,
  target: RepositoryTarget | undefined,
  { source, vote, signal }: CreateFromSnapshotOptions,
): Promise<void> {
  const seed = async (draft: Repository): Promise<void> => {
    const bytes = download({ ...source, signal });
    const { maxBytes } = OUTGOING_LIMITS;
    try {
      const entries = await extractSnapshot(marked(bytes), draft, { signal, maxBytes });
      if (entries === 0) throw new TarFormatError('no archive');
    } catch (error) {
      throw wrap(asTarExit(error), 'extracting snapshot');
    }
  };
  await createRepository(storages, target, { ...DRAFT_OF_SNAPSHOT, vote, signal, seed, isForeign: true });
}

/** An error of the download, not of the archive. */
class DownloadError extends Error {
  override readonly name = 'DownloadError';
}

async function* marked(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    throw new DownloadError('download', { cause: error });
  }
}

function asTarExit(error: unknown): unknown {
  if (error instanceof DownloadError) return error.cause;
  const isOfArchive =
    error instanceof TarFormatError || (error instanceof GitalyError && error.code === 'INVALID_ARGUMENT');
  if (!isOfArchive) return error;
  const reason =
    error instanceof GitalyError && error.metadata.member !== undefined ? `: ${error.message}` : '';
  return new GitalyError('INTERNAL', `exit status 2${reason}`, { cause: error });
}
