import { spawn } from 'node:child_process';

export interface RunResult {
  /** `null` after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunProgramOptions {
  readonly cwd?: string;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Time limit after which the program is killed. Default one minute. */
  readonly timeoutMs?: number;
  /** Kills the program, which does not count as an error. */
  readonly signal?: AbortSignal;
}

/** Runs a program to its end and returns its output, whatever its exit code is. */
export function run(
  file: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<RunResult> {
  const { cwd, env, input, timeoutMs = 60_000, signal } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const [stdout, stderr]: Buffer[][] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => stdout?.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr?.push(chunk));
    child.stdin.on('error', () => undefined); // it may end without reading
    const kill = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', kill);
    child.once('error', reject);
    child.once('close', (code) => {
      signal?.removeEventListener('abort', kill);
      resolve({ code, stdout: text(stdout), stderr: text(stderr) });
    });
    if (signal?.aborted) kill();
    child.stdin.end(input);
  });
}

const text = (chunks: Buffer[] | undefined): string => Buffer.concat(chunks ?? []).toString('utf8');
