import { noteBulkBytes } from '#base/bulk-memory';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import type { ConfigPair } from './config.ts';
import { GitExitError } from './exit-error.ts';
import type { GitCommand } from './git-command.ts';

export interface OutputBytesOptions {
  readonly signal?: AbortSignal | undefined;
  /** For standard input. */
  readonly input?: Uint8Array | undefined;
  readonly config?: readonly ConfigPair[];
}

/**
 * What a command prints, in the pieces in which it arrives; the iteration ends when the command has succeeded. A reader that is slow slows git
 * down, one that leaves ends it.
 *
 * @throws {GitExitError} when the command fails, `signal: terminated: context canceled` when `signal` is aborted on the way.
 */
export async function* outputBytes(
  git: Git,
  repository: GitRepository,
  command: GitCommand,
  { signal, input, config = [] }: OutputBytesOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  await git.spawnTurn(signal);
  await using run = git.spawn(command, { repository, signal, config, stdin: input === undefined ? 'ignore' : 'pipe' });
  // A command that fails before it has read its input is explained by its exit code, not by the broken pipe.
  if (input !== undefined) run.stdin.end(input);
  try {
    for await (const chunk of run.stdout) {
      // A stream without an encoding yields Buffers.
      const bytes = chunk as Buffer;
      noteBulkBytes(bytes.length);
      yield bytes;
    }
  } catch (error) {
    // An abort closes the stream under the reader; how the process ended says it better.
    if (!run.isEnding) throw error;
  }
  await run.succeeded();
}

/** Like {@link outputBytes}, but where git fails the output simply ends, so that what came before can be looked at first. An abort still throws. */
export class OutputBeforeFailure implements AsyncIterable<Buffer> {
  readonly #output: AsyncGenerator<Buffer>;
  #failure: GitExitError | undefined;

  constructor(output: AsyncGenerator<Buffer>, signal: AbortSignal | undefined) {
    this.#output = this.#read(output, signal);
  }

  /** How git failed; `undefined` while it runs, and when it has succeeded. */
  get failure(): GitExitError | undefined {
    return this.#failure;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.#output;
  }

  async *#read(output: AsyncGenerator<Buffer>, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    try {
      yield* output;
    } catch (error) {
      if (!(error instanceof GitExitError) || signal?.aborted === true) throw error;
      this.#failure = error;
    }
  }
}
