import { lineBatches } from '#base/streams/line-batches';
import { type CommandInput, writeInput } from './command-input.ts';
import type { CommandRepository } from './command-repository.ts';
import type { ConfigPair } from './config.ts';
import type { GitCommand } from './git-command.ts';
import { abortError } from './process/exit-error.ts';
import type { HookSetup } from './spawn-options.ts';

export interface OutputLinesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Data for standard input. */
  readonly input?: CommandInput | undefined;
  /** Delimiter of lines; default LF. */
  readonly delimiter?: number;
  /** Limit of a line; a longer one is an error. Default 1 MiB. */
  readonly maxLineBytes?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: readonly ConfigPair[];
  /** CPU time after which the command fails with RESOURCE_EXHAUSTED; default: the subcommand's. */
  readonly maxCpuSeconds?: number | undefined;
  /** Required for a command that can change references, even if it does not. */
  readonly hooks?: HookSetup;
}

/**
 * Yields a command's output lines without delimiters, in batches as they arrive, and ends when the
 * command has succeeded. A slow reader slows git down; a reader that stops early ends it.
 *
 * @throws {GitExitError} when the command fails; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when
 *   `signal` is aborted.
 */
export async function* outputLines(
  repository: CommandRepository,
  command: GitCommand,
  { signal, input, env, config, hooks, maxCpuSeconds, ...splitting }: OutputLinesOptions = {},
): AsyncGenerator<Buffer[], void, undefined> {
  await repository.spawnTurn(signal);
  const stdin = input === undefined ? 'ignore' : 'pipe';
  await using run = repository.spawn(command, {
    signal,
    stdin,
    ...(env && { env }),
    ...(config && { config }),
    ...(maxCpuSeconds !== undefined && { maxCpuSeconds }),
    ...(hooks && { hooks }),
  });
  if (input !== undefined) writeInput(run.stdin, input);
  try {
    yield* lineBatches(run.stdout, splitting);
  } catch (error) {
    // The stream closes as well when the process is ended for its CPU time, or on abort. It may
    // have succeeded at that moment, but its output is lost.
    if (run.hasExceededCpu) throw run.failure(await run.exited);
    throw signal?.aborted === true ? abortError(signal) : error;
  }
  await run.succeeded();
}
