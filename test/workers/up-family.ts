import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ServerStatus } from '#calls/top/status';
import { programCommand } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';

/** Returns what all processes of a server do. */
async function statusAt(http: string, authorization: string | undefined): Promise<ServerStatus> {
  const response = await fetch(`${http}/-/console/running?format=json`, {
    ...(authorization !== undefined && { headers: { Authorization: authorization } }),
  });
  return (await response.json()) as ServerStatus; // the page's own data
}

/** A running `gitaly-ts up` with workers. */
export interface UpFamily extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Directory that is removed at the end; the server's is `data` in it. */
  readonly directory: string;
  readonly http: string;
  readonly ssh: string;
  readonly log: () => string;
  /** Returns the work of all processes, which the console shows. */
  status(): Promise<ServerStatus>;
  /** Sends a signal and returns the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

const WORKERS = 2;
/** A busy machine compiles the sources slowly. */
const START_LIMIT_MS = 120_000;

export interface StartUpFamilyOptions {
  /** Further arguments. */
  readonly args: readonly string[];
  /** Default: a new directory. */
  readonly directory?: string;
  /** Credentials of an administrator, if there is authentication. */
  readonly authorization?: string;
}

/** Starts `up` with two workers that get all connections, and waits until both accept some. */
export async function startUpFamily({
  args,
  authorization,
  directory = makeScratchDirectory('up-family'),
}: StartUpFamilyOptions): Promise<UpFamily> {
  const options = ['--http', '127.0.0.1:0', '--ssh', '127.0.0.1:0', '--workers', `${WORKERS + 1}`, '--json'];
  const child = spawn(
    process.execPath,
    [...programCommand('gitaly-ts'), 'up', join(directory, 'data'), ...options, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        GITALY_TESTING_WORKERS: JSON.stringify({
          start: WORKERS,
          choice: 'worker',
          tickMs: 500,
          backOffMs: 50,
        }),
      },
    },
  );
  const exited = once(child, 'exit');
  await using starting = new AsyncDisposableStack();
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  };
  starting.defer(end);
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), exited]);
  if (typeof line !== 'string') throw new Error(`up has ended: ${log}`);
  const { http, ssh } = JSON.parse(line) as { readonly http: string; readonly ssh: string }; // its report
  const status = async () => await statusAt(http, authorization);
  // Before that, the first process serves connections.
  await until(
    async () => ((await status()).workers?.length ?? 0) > WORKERS,
    () => log,
    START_LIMIT_MS,
  );
  starting.move();
  return {
    ...{ process: child, directory, http, ssh, status },
    log: () => log,
    stop: async (signal) => {
      child.kill(signal);
      const [code] = await exited;
      return code;
    },
    [Symbol.asyncDispose]: end,
  };
}
