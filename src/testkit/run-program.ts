import { buffer } from 'node:stream/consumers';
import { findProgram } from '#git/command/find-program';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';
import type { SpawnRequest } from '#git/command/spawner/spawner';

// Tests start programs as the server starts git: `child_process` copies the address space of the
// process, which holds a server in many tests. That took a tenth of the time of all tests.

/** The end of a program and the bytes that it has written. */
export interface BytesResult {
  /** `null` after a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface RunResult {
  /** `null` after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string | undefined;
  /** Added to this process's own; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly input?: string | Uint8Array | undefined;
}

export interface RunProgramOptions extends ProgramOptions {
  /** Time limit after which the program is killed, which is an error. Default three minutes. */
  readonly timeoutMs?: number;
  /** Kills the program, which does not count as an error. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end and returns its output, whatever its exit code is.
 *
 * @throws {Error} with its errors if it has not ended in time.
 */
export async function run(
  file: string,
  args: readonly string[],
  options?: RunProgramOptions,
): Promise<RunResult> {
  const { code, stdout, stderr } = await runBytes(file, args, options);
  return { code, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') };
}

/** As {@link run}, for output that is not text. */
export async function runBytes(
  file: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<BytesResult> {
  const { input, timeoutMs = 180_000, signal } = options;
  const spawner = await chooseSpawner();
  const piped = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const;
  const child = spawner.spawn({ ...programRequest(file, args, options), ...piped });
  const { pid, stdin, stdout, stderr } = child;
  if (stdin === undefined || stdout === undefined || stderr === undefined) throw new Error('no pipes');
  let isRunning = true;
  const kill = (): void => void (isRunning && process.kill(pid, 'SIGKILL'));
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, timeoutMs);
  signal?.addEventListener('abort', kill);
  if (signal?.aborted) kill();
  const exited = child.exited.finally(() => {
    isRunning = false;
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  });
  stdin.on('error', () => undefined); // it may end without reading
  stdin.end(input);
  const [{ code = null, signal: ending = null }, output, errors] = await Promise.all([
    exited,
    buffer(stdout),
    buffer(stderr),
  ]);
  if (isLate)
    throw new Error(`killed after ${timeoutMs} ms: ${[file, ...args].join(' ')}\n${errors.toString('utf8')}`);
  return { code, signal: ending, stdout: output, stderr: errors };
}

type ProgramRequest = Omit<SpawnRequest, 'stdin' | 'stdout' | 'stderr'> & {
  readonly env: Readonly<Record<string, string>>;
};

/**
 * Returns the program's part of a request to a spawner.
 *
 * @throws {Error} when there is no such program.
 */
export function programRequest(
  file: string,
  args: readonly string[],
  { cwd, env: added }: ProgramOptions,
): ProgramRequest {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...process.env, ...added }))
    if (value !== undefined) env[name] = value;
  return { file: findProgram(file, env.PATH), argv: [file, ...args], env, cwd, extraPipes: 0 };
}
