import { Readable, type Writable } from 'node:stream';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import type { ByteStream } from '#base/streams/byte-stream';
import { lineBatches } from '#base/streams/line-batches';
import type { CommandRepository } from './command-repository.ts';
import type { ConfigPair } from './config.ts';
import type { GitCommand } from './git-command.ts';
import { BulkPipe } from './process/bulk-pipe.ts';
import { abortError, GitExitError } from './process/exit-error.ts';
import type { HookSetup } from './spawn-options.ts';

export interface OutputBytesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Data for standard input. */
  readonly input?: CommandInput | undefined;
  readonly config?: readonly ConfigPair[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Yields a command's output in the chunks in which it arrives, and ends when the command has
 * succeeded. A slow reader slows git down; a reader that stops early ends it.
 *
 * @throws {GitExitError} when the command fails, `signal: terminated: context canceled` when
 *   `signal` is aborted.
 */
export async function* outputBytes(
  repository: CommandRepository,
  command: GitCommand,
  { signal, input, config = [], env = {} }: OutputBytesOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  await repository.spawnTurn(signal);
  using output = BulkPipe.open();
  await using run = repository.spawn(command, {
    signal,
    config,
    env,
    stdin: input === undefined ? 'ignore' : 'pipe',
    stdout: output?.writeEnd ?? 'pipe',
  });
  output?.closeWriteEnd();
  if (input !== undefined) writeInput(run.stdin, input);
  try {
    yield* output === undefined ? chunksOf(run.stdout) : output.chunks(signal);
  } catch (error) {
    // An abort closes the stream under the reader; the exit of the process describes it better.
    if (!run.isEnding) throw error;
  }
  await run.succeeded();
}

async function* chunksOf(stream: ByteStream): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of stream) {
    noteBulkBytes(chunk.length);
    yield chunk;
  }
}

/**
 * Output like {@link outputBytes} that ends without an error when git fails, so that the earlier
 * output can be examined first. An abort still throws.
 */
export class OutputBeforeFailure implements AsyncIterable<Buffer> {
  readonly #output: AsyncGenerator<Buffer>;
  #failure: GitExitError | undefined;

  constructor(output: AsyncGenerator<Buffer>, signal: AbortSignal | undefined) {
    this.#output = this.#read(output, signal);
  }

  /** The failure of git; `undefined` while it runs, and after success. */
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

interface OutputLinesOptions {
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

/** Data for the standard input of a command: all of it, or pieces that are made as git reads. */
type CommandInput = Uint8Array | Iterable<Uint8Array>;

/**
 * Writes a command's standard input and ends it. The exit code explains a command that fails before
 * it has read its input, not the broken pipe.
 */
function writeInput(stdin: Writable, input: CommandInput): void {
  if (input instanceof Uint8Array) stdin.end(input);
  else Readable.from(input).pipe(stdin);
}
