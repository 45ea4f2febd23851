import { type GitCommand, gitCommand, value } from '#git/command/git-command';
import { type OutputBytesOptions, outputBytes } from '#git/command/output-bytes';
import { BulkPipe } from '#git/command/process/bulk-pipe';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { Repository } from '#storage/repository';
import { streamOutput } from '../pack-objects/stream-output.ts';
import type { ArchiveSource } from './archive-source.ts';
import { BZIP2, type Compressor, compress, GZIP } from './compress.ts';
import type { LfsFilter } from './lfs-filter.ts';

export type ArchiveFormat = 'tar' | 'tar.gz' | 'tar.bz2' | 'zip';

export interface ArchiveOptions {
  readonly format: ArchiveFormat;
  /** Directory of all entries, without the slash. */
  readonly prefix: string;
  /** Replaces LFS pointers; `undefined` leaves them. */
  readonly lfs: LfsFilter | undefined;
}

const COMPRESSORS: Readonly<Partial<Record<ArchiveFormat, Compressor>>> = {
  'tar.gz': GZIP,
  'tar.bz2': BZIP2,
};

/**
 * Writes an archive as `git archive` does. A slow writer slows git down; an abort ends it.
 *
 * @throws {GitExitError} when git fails, possibly after the first bytes; the errors of `writer`.
 */
export async function writeArchive(
  repository: Repository,
  { tree, pathspecs }: ArchiveSource,
  { format, prefix, lfs }: ArchiveOptions,
  { writer, signal }: { readonly writer: StreamWriter; readonly signal: AbortSignal },
): Promise<void> {
  const command = gitCommand('archive', {
    options: [value('--format', format === 'zip' ? 'zip' : 'tar'), value('--prefix', `${prefix}/`)],
    args: [tree],
    paths: pathspecs,
  });
  const compressor = COMPRESSORS[format];
  if (compressor === undefined) {
    await writeOutput(repository, command, { signal, ...lfs }, writer);
    return;
  }
  const bytes = outputBytes(repository, command, { signal, ...lfs });
  const options = { spawner: repository.git.spawner, signal };
  for await (const chunk of compress(bytes, compressor, options)) await writer.write(chunk);
}

/** git writes a tar archive in pieces of 10 KiB; they are read in larger ones. */
async function writeOutput(
  repository: Repository,
  command: GitCommand,
  { signal, config = [], env = {} }: OutputBytesOptions,
  writer: StreamWriter,
): Promise<void> {
  await repository.spawnTurn(signal);
  using output = BulkPipe.open();
  await using git = repository.spawn(command, { signal, config, env, stdout: output?.writeEnd ?? 'pipe' });
  output?.closeWriteEnd();
  try {
    await streamOutput(git, output, writer);
  } catch (error) {
    // An abort closes the stream under the reader; the exit of git describes it better.
    if (!git.isEnding) throw error;
  }
  await git.succeeded();
}
