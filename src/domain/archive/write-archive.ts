import { assertNever } from '#base/assert-never';
import { gitCommand, value } from '#git/command/git-command';
import { outputBytes } from '#git/command/output-bytes';
import type { Repository } from '#storage/repository';
import type { ArchiveSource } from './archive-source.ts';
import { BZIP2, compress, GZIP } from './compress.ts';
import type { LfsFilter } from './lfs-filter.ts';

export type ArchiveFormat = 'tar' | 'tar.gz' | 'tar.bz2' | 'zip';

export interface ArchiveOptions {
  readonly format: ArchiveFormat;
  /** Directory of all entries, without the slash. */
  readonly prefix: string;
  /** Replaces LFS pointers; `undefined` leaves them. */
  readonly lfs: LfsFilter | undefined;
}

/**
 * Yields an archive as `git archive` writes it. A slow reader slows git down; a reader that stops
 * early ends it.
 *
 * @throws {GitExitError} when git fails, possibly after the first bytes.
 */
export function writeArchive(
  repository: Repository,
  { tree, pathspecs }: ArchiveSource,
  { format, prefix, lfs }: ArchiveOptions,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const command = gitCommand('archive', {
    options: [value('--format', format === 'zip' ? 'zip' : 'tar'), value('--prefix', `${prefix}/`)],
    args: [tree],
    paths: pathspecs,
  });
  const bytes = outputBytes(repository, command, { signal, ...lfs });
  const options = { spawner: repository.git.spawner, signal };
  switch (format) {
    case 'tar':
    case 'zip':
      return bytes;
    case 'tar.gz':
      return compress(bytes, GZIP, options);
    case 'tar.bz2':
      return compress(bytes, BZIP2, options);
    default:
      return assertNever(format);
  }
}
