import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isError } from '#base/is-error';
import type { Git } from '#git/command/git';
import type { GitProcess } from '#git/command/process/git-process';
import { spawnProgram } from '#git/command/spawn-program';
import type { Arg } from '#git/command/spawner/spawner';
import { copyOutput } from './copy-output.ts';
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
