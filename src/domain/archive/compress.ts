import { GitalyError, messageOf } from '#base/gitaly-error';
import { copyStream } from '#base/streams/copy-stream';
import { findProgram } from '#git/command/find-program';
import { spawnProgram } from '#git/command/spawn-program';
import type { Spawner } from '#git/command/spawner/spawner';

/** A program that compresses its standard input. Archives are compared with those of Gitaly. */
export interface Compressor {
  readonly program: string;
  readonly args: readonly string[];
}

/** Writes no time and no name: the same archive always has the same bytes. */
export const GZIP: Compressor = { program: 'gzip', args: ['-c', '-n'] };
export const BZIP2: Compressor = { program: 'bzip2', args: ['-c'] };

const BULK_PIPE_BYTES = 256 * 1024;

/**
 * Yields the compressed bytes of a source, which is read only as fast as they are taken.
 *
 * @throws {GitalyError} FAILED_PRECONDITION when the program is not installed; the error of the
 *   source; {GitExitError} when the program fails.
 */
export async function* compress(
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
