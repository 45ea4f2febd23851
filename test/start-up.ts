import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { programCommand } from '#testkit/programs/program-command';
import { type RunResult, run } from '#testkit/run-program';

/** The line of JSON of `up`. */
export interface UpJson {
  readonly http: string;
  readonly ssh: string;
  readonly console?: string;
  readonly metrics?: string;
  readonly directory: string;
  readonly pid: number;
}

/** A running `gitaly-ts up`. */
export interface RunningUp extends AsyncDisposable {
  readonly report: UpJson;
  /** Lines of standard output after the report. */
  readonly lines: readonly string[];
  readonly log: () => string;
  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void;
  /** Sends a signal and returns the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

export interface StartUpOptions {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `gitaly-ts up`, and waits until it reports its addresses. */
export async function startUp({ args, env }: StartUpOptions): Promise<RunningUp> {
  const child = spawn(process.execPath, [...programCommand('gitaly-ts'), 'up', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const exited = once(child, 'exit');
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const lines: string[] = [];
  const reader = createInterface(child.stdout);
  const [line] = await Promise.race([once(reader, 'line'), exited]);
  if (typeof line !== 'string') throw new Error(`up has ended: ${log}`);
  reader.on('line', (more) => lines.push(more));
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    const [code] = await exited;
    return code;
  };
  return {
    report: JSON.parse(line) as UpJson, // its report
    lines,
    log: () => log,
    kill: (signal) => void child.kill(signal),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop('SIGTERM')),
  };
}

/** Runs a command of `gitaly-ts` to its end. */
export async function gitalyTs(args: readonly string[], input?: string): Promise<RunResult> {
  return await run(process.execPath, [...programCommand('gitaly-ts'), ...args], { input });
}
