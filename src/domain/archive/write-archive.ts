import { GitalyError, messageOf } from '#base/gitaly-error';
import { copyStream } from '#base/streams/copy-stream';
import { findProgram } from '#git/command/find-program';
import { type GitCommand, gitCommand, value } from '#git/command/git-command';
import { type OutputBytesOptions, outputBytes } from '#git/command/output';
import { BulkPipe } from '#git/command/process/bulk-pipe';
import { spawnProgram } from '#git/command/spawn-program';
import type { Spawner } from '#git/command/spawner/spawner';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { Repository } from '#storage/repository';
import { streamOutput } from '../pack-objects/stream-output.ts';
import type { ArchiveSource } from './archive-source.ts';
import type { LfsFilter } from './lfs-filter.ts';

export type ArchiveFormat = 'tar' | 'tar.gz' | 'tar.bz2' | 'zip';

export interface WriteArchiveOptions {
  readonly format: ArchiveFormat;
  /** Directory of all entries, without the slash. */
  readonly prefix: string;
  /** Replaces LFS pointers; `undefined` leaves them. */
  readonly lfs: LfsFilter | undefined;
}

/** A program that compresses its standard input. Archives are compared with those of Gitaly. */
interface Compressor {
  readonly program: string;
  readonly args: readonly string[];
}

/** Writes no time and no name: the same archive always has the same bytes. */
const GZIP: Compressor = { program: 'gzip', args: ['-c', '-n'] };
const BZIP2: Compressor = { program: 'bzip2', args: ['-c'] };

const COMPRESSORS: Readonly<Partial<Record<ArchiveFormat, Compressor>>> = {
  'tar.gz': GZIP,
  'tar.bz2': BZIP2,
};

const BULK_PIPE_BYTES = 256 * 1024;

/**
 * Writes an archive as `git archive` does. A slow writer slows git down; an abort ends it.
 *
 * @throws {GitExitError} when git fails, possibly after the first bytes; the errors of `writer`.
 */
export async function writeArchive(
  repository: Repository,
  { tree, pathspecs }: ArchiveSource,
  { format, prefix, lfs }: WriteArchiveOptions,
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

/**
 * Yields the compressed bytes of a source, which is read only as fast as they are taken.
 *
 * @throws {GitalyError} FAILED_PRECONDITION when the program is not installed; the error of the
 *   source; {GitExitError} when the program fails.
 */
async function* compress(
  source: AsyncIterable<Buffer>,
  { program, args }: Compressor,
  { spawner, signal }: { readonly spawner: Spawner; readonly signal: AbortSignal },
): AsyncGenerator<Buffer, void, undefined> {
  await using running = spawnProgram(requireProgram(program), {
    spawner,
    args,
    env: { PATH: process.env.PATH ?? '' },
    cwd: '/',
    stdin: 'pipe',
    signal,
    pipeBytes: BULK_PIPE_BYTES,
  });
  const feeding = copyStream(source, running.stdin).then(
    () => void running.stdin.end(),
    (error: unknown) => {
      // Also ends the loop that reads below.
      running.kill();
      throw error;
    },
  );
  // It is awaited only when the output has ended.
  feeding.catch(() => {});
  try {
    try {
      yield* running.stdout;
    } catch (error) {
      if (!running.isEnding) throw error;
    }
    await feeding;
    await running.succeeded();
  } finally {
    // A reader that leaves ends the program; that stops its input, which closes the source.
    running.stdin.destroy();
    await feeding.catch(() => {}); // its error has been thrown, or the reader has left
  }
}

function requireProgram(name: string): string {
  try {
    return findProgram(name);
  } catch (error) {
    throw new GitalyError('FAILED_PRECONDITION', `${name} is not installed on the server`, {
      cause: error,
      metadata: { reason: messageOf(error) },
    });
  }
}
