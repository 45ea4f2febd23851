import { Writable } from 'node:stream';
import type { CommandRepository } from './command-repository.ts';
import type { GitCommand } from './git-command.ts';
import { BulkPipe } from './process/bulk-pipe.ts';
import { abortError, type GitExit } from './process/exit-error.ts';

export interface MergedOutput {
  /** Both standard streams, in the order in which git wrote. */
  readonly output: Buffer;
  readonly exit: GitExit;
}

export interface MergedOutputOptions {
  /** Limit of the output; the rest is read and dropped. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a command to its end, with standard output and standard error as one stream. A failure of
 * git is a result. Without separate pipes, standard error comes after standard output.
 *
 * @throws {GitalyError} CANCELLED or DEADLINE_EXCEEDED when `signal` is aborted.
 */
export async function mergedOutput(
  repository: CommandRepository,
  command: GitCommand,
  { maxBytes, signal }: MergedOutputOptions,
): Promise<MergedOutput> {
  await repository.spawnTurn(signal);
  using pipe = BulkPipe.open();
  const head = new Head(maxBytes);
  const streams = pipe && ({ stdout: pipe.writeEnd, stderr: pipe.writeEnd } as const);
  await using run = repository.spawn(command, { signal, ...streams });
  pipe?.closeWriteEnd();
  try {
    if (pipe !== undefined) await pipe.copyTo(head.stream);
    else for await (const chunk of run.stdout) head.add(chunk);
  } catch (error) {
    if (!run.isEnding) throw error;
  }
  const exit = await run.exited;
  if (signal?.aborted === true) throw abortError(signal);
  if (pipe === undefined) head.add(run.stderrHead);
  return { output: head.bytes(), exit };
}

/** The beginning of a stream. */
class Head {
  readonly #chunks: Buffer[] = [];
  #left: number;
  readonly stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      // The pipe reuses its buffer.
      this.add(Buffer.from(chunk.subarray(0, this.#left)));
      done();
    },
  });

  constructor(maxBytes: number) {
    this.#left = maxBytes;
  }

  add(chunk: Buffer): void {
    const wanted = chunk.subarray(0, this.#left);
    if (wanted.length === 0) return;
    this.#left -= wanted.length;
    this.#chunks.push(wanted);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
