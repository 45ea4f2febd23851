import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { GitProcess } from '#git/command/git-process';
import { spawnProgram } from '#git/command/spawn-program';
import type { Arg } from '#git/command/spawner/spawner';
import type { Git } from '#git/git';
import type { HookOutput } from './hook-output.ts';

/** An operator's script refused. What it printed is what the user shall see; the message is for those who see nothing else. */
export class CustomHookError extends Error {
  override readonly name = 'CustomHookError';
  /** −1 when it was killed by a signal. */
  readonly exitCode: number;

  constructor(script: string, exitCode: number, cause: Error) {
    super(`error executing ${quote(script)}: ${cause.message}`, { cause });
    this.exitCode = exitCode;
  }
}

/** The refusal of a script behind an error, if that is what it is. */
export function customHookErrorOf(error: unknown): CustomHookError | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof CustomHookError) return current;
  }
  return undefined;
}

export interface CustomHooksRun {
  /** In the order in which they run; the first failure ends it. */
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
 * @throws {CustomHookError} when one exits with something else than 0; {Error} `starting process […]: fork/exec …` when one
 *   cannot be started.
 */
export async function runCustomHooks(git: Git, run: CustomHooksRun): Promise<void> {
  for (const script of run.scripts) {
    await using process = start(git, script, run);
    process.stdin.end(run.stdin); // a script that does not read it closes the pipe; nobody minds
    const { output } = run;
    await Promise.all([
      copyTo(process.stdout, (bytes) => output.stdout(bytes)),
      copyTo(process.stderrStream, (bytes) => output.stderr(bytes)),
    ]);
    const exit = await process.exited;
    if (exit.code !== 0) throw new CustomHookError(script, exit.code ?? -1, process.exitError(exit));
  }
}

function start(git: Git, script: string, { args, env, repositoryPath, signal }: CustomHooksRun): GitProcess {
  try {
    return spawnProgram(script, { spawner: git.spawner, args, env, cwd: repositoryPath, signal, stdin: 'pipe', stderr: 'pipe' });
  } catch (error) {
    if (error instanceof GitalyError) throw error;
    const words = [script, ...args.map((arg) => (typeof arg === 'string' ? arg : Buffer.from(arg).toString()))];
    throw new Error(`starting process [${words.join(' ')}]: ${messageOf(error)}`, { cause: error });
  }
}

async function copyTo(source: AsyncIterable<Uint8Array>, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  for await (const bytes of source) await write(bytes);
}
