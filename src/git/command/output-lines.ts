import { lineBatches } from '#base/line-batches';
import type { Git, HookSetup } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { abortError } from './exit-error.ts';
import type { GitCommand } from './git-command.ts';

export interface OutputLinesOptions {
  readonly signal?: AbortSignal | undefined;
  /** For standard input. */
  readonly input?: Uint8Array | undefined;
  /** What ends a line; default LF. */
  readonly delimiter?: number;
  /** A longer line is an error; default 1 MiB. */
  readonly maxLineBytes?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Needed for a command that could change references, even where it does not. */
  readonly hooks?: HookSetup;
}

/**
 * The lines that a command prints, in batches as they arrive, without their ends; the iteration ends when the command has succeeded. A reader
 * that is slow slows git down, one that leaves ends it.
 *
 * @throws {GitExitError} when the command fails; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when `signal` is aborted.
 */
export async function* outputLines(
  git: Git,
  repository: GitRepository,
  command: GitCommand,
  { signal, input, env, hooks, ...splitting }: OutputLinesOptions = {},
): AsyncGenerator<Buffer[], void, undefined> {
  await git.spawnTurn(signal);
  const stdin = input === undefined ? 'ignore' : 'pipe';
  await using run = git.spawn(command, { repository, signal, stdin, ...(env && { env }), ...(hooks && { hooks }) });
  // A command that fails before it has read its input is explained by its exit code, not by the broken pipe.
  if (input !== undefined) run.stdin.end(input);
  try {
    yield* lineBatches(run.stdout, splitting);
  } catch (error) {
    // An abort closes the stream under the reader.
    throw signal?.aborted === true ? abortError(signal) : error;
  }
  await run.succeeded();
}
