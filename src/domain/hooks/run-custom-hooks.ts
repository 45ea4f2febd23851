import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isError } from '#base/is-error';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import type { Git } from '#git/command/git';
import type { GitProcess } from '#git/command/process/git-process';
import { spawnProgram } from '#git/command/spawn-program';
import type { Arg } from '#git/command/spawner/spawner';
import type { HookOutput } from './hook-output.ts';

/**
 * An operator's script refused. What it printed is what the user shall see; the message is for
 * those who see nothing else.
 */
export class CustomHookError extends Error {
  override readonly name = 'CustomHookError';
  /** −1 when it was killed by a signal. */
  readonly exitCode: number;

  constructor(script: string, exitCode: number, cause: Error) {
    super(`error executing ${quote(script)}: ${cause.message}`, { cause });
    this.exitCode = exitCode;
  }
}

/** Returns the refusal of a script among the causes of an error; `undefined` if there is none. */
export function customHookErrorOf(error: unknown): CustomHookError | undefined {
  for (let current = error; isError(current); current = current.cause) {
    if (current instanceof CustomHookError) return current;
  }
  return undefined;
}

export interface CustomHooksRun {
  /** Scripts in the order in which they run; the first failure stops them. */
  readonly scripts: readonly string[];
  readonly args: readonly Arg[];
  /** For each script anew. */
  readonly stdin: Uint8Array;
  readonly env: Readonly<Record<string, Arg>>;
  readonly repositoryPath: string;
  readonly output: HookOutput;
  readonly signal: AbortSignal;
}

/**
 * Runs an operator's scripts one after the other in the repository.
 *
 * A script is finished when it has exited. Its output until then is delivered, and the output of
 * processes that it started within the grace period. A script that is ended by an abort is finished
 * when its whole process group has ended.
 *
 * @throws {CustomHookError} when a script exits with another code than 0; {Error}
 * `starting process […]: fork/exec …` when a script cannot be started.
 */
export async function runCustomHooks(git: Git, run: CustomHooksRun): Promise<void> {
  for (const script of run.scripts) {
    const process = start(git, script, run);
    try {
      await runScript(script, process, run);
    } finally {
      await process[Symbol.asyncDispose]();
      await process.groupEnded();
    }
  }
}

async function runScript(script: string, process: GitProcess, run: CustomHooksRun): Promise<void> {
  process.stdin.end(run.stdin); // a script that does not read its input closes the pipe; this is no error
  const { output } = run;
  await Promise.all([
    copyOutput(process.stdout, process.exited, (bytes) => output.stdout(bytes)),
    copyOutput(process.stderrStream, process.exited, (bytes) => output.stderr(bytes)),
  ]);
  const exit = await process.exited;
  if (exit.code !== 0) throw new CustomHookError(script, exit.code ?? -1, process.exitError(exit));
}

function start(git: Git, script: string, { args, env, repositoryPath, signal }: CustomHooksRun): GitProcess {
  try {
    return spawnProgram(script, {
      spawner: git.spawner,
      args,
      env,
      cwd: repositoryPath,
      signal,
      stdin: 'pipe',
      stderr: 'pipe',
    });
  } catch (error) {
    if (error instanceof GitalyError) throw error;
    const words = [
      script,
      ...args.map((arg) => (typeof arg === 'string' ? arg : Buffer.from(arg).toString())),
    ];
    throw new Error(`starting process [${words.join(' ')}]: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Time in milliseconds to wait for more output after the hook has exited: a process that the hook
 * started may keep the output open for ever.
 */
const OUTPUT_GRACE_MS = 1_000;
/** More than a pipe or a socket holds: output before the exit always arrives. */
const MAX_LATE_BYTES = 1024 * 1024;
/** Longest time in milliseconds until the next piece of the pipe's contents arrives here. */
const LATE_PIECE_MS = 50;

/**
 * Copies what a hook prints until its end, or, where a process that it left behind keeps it open,
 * until the grace after the hook's own exit is over. A slow reader loses nothing that was printed
 * before.
 */
export async function copyOutput(
  source: Readable,
  exited: Promise<unknown>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunks = stoppableChunks(source);
  const stop = (): void => void chunks.return?.();
  const copied = new AbortController();
  let isLate = false;
  let isWaiting = false;
  let timer: NodeJS.Timeout | undefined;
  const limitWait = (): void => {
    if (isLate && isWaiting) timer = setTimeout(stop, LATE_PIECE_MS);
  };
  const becomeLate = async (): Promise<void> => {
    await exited;
    await delay(OUTPUT_GRACE_MS, undefined, { signal: copied.signal });
    isLate = true;
    limitWait();
  };
  becomeLate().catch(() => {}); // all output was copied before
  try {
    for (let lateBytes = 0; lateBytes <= MAX_LATE_BYTES; ) {
      isWaiting = true;
      limitWait();
      const { done, value: chunk } = await chunks.next();
      isWaiting = false;
      clearTimeout(timer);
      if (done === true) return;
      await write(chunk);
      if (isLate) lateBytes += chunk.byteLength;
    }
    stop();
  } finally {
    copied.abort();
    clearTimeout(timer);
  }
}
