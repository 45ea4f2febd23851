import { spawn } from 'node:child_process';
import { addAbortListener, once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { extname, join } from 'node:path';
import { hasEnded, type StartingServer, untilAccepting } from '#tools/test-env/server-socket';
import type { Link } from '#workers/link';
import { linkTo, OPERATED_VARIABLE } from '#workers/operator-link';

/** A server that runs as a separate process. */
export interface RunningProcess {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<unknown>;
  /** Stops it gracefully. Kills it after some seconds, or when `force` aborts. */
  stop(force: AbortSignal): Promise<void>;
  /** Channel for questions about its calls, if it was started with one. */
  readonly link?: Link | undefined;
}

/** How to start a `gitaly` or a `praefect`. */
export interface ServerStart extends StartingServer {
  readonly program: 'gitaly' | 'praefect';
  readonly args: readonly string[];
  /** The process shall answer questions about its calls. */
  readonly isOperated: boolean;
}

/** Calls have this long after a request to stop; their clients have gone before. */
const STOP_LIMIT_MS = 8000;
/** Variables that are meant for the process of `gitaly-ts` alone. */
const OWN_VARIABLES = ['GITALY_UPGRADES_ENABLED', 'GITALY_PID_FILE', 'NOTIFY_SOCKET', 'LISTEN_FDS'];

/**
 * Starts a server and waits until it accepts connections.
 *
 * @throws {Error} with the end of the log if it does not; the reason of `signal`.
 */
export async function startServerProcess(
  start: ServerStart,
  signal: AbortSignal,
  onSpawn: (pid: number) => void,
): Promise<RunningProcess> {
  const { args, isOperated, log, program } = start;
  const entry = join(import.meta.dirname, '../..', program + extname(import.meta.filename));
  const output = openSync(log, 'a', 0o600);
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !OWN_VARIABLES.includes(name)),
  );
  const options = process.execArgv.filter((each) => !each.startsWith('--inspect'));
  const child = spawn(process.execPath, [...options, entry, ...args], {
    stdio: ['ignore', output, output, ...(isOperated ? (['ipc'] as const) : [])],
    serialization: 'advanced',
    env: { ...env, ...(isOperated && { [OPERATED_VARIABLE]: '1' }) },
    detached: true, // Ctrl-C reaches only this process, which then stops the server
  });
  closeSync(output);
  const link = isOperated ? linkTo(child) : undefined;
  if (child.pid !== undefined) onSpawn(child.pid);
  const exited = once(child, 'exit');
  exited.catch(() => {}); // a program that cannot be started is reported below
  const stop = async (force: AbortSignal): Promise<void> => {
    if (hasEnded(child)) return;
    child.kill('SIGTERM');
    const kill = (): void => void child.kill('SIGKILL');
    using _timer = setTimeout(kill, STOP_LIMIT_MS);
    using _forced = addAbortListener(force, kill);
    await exited;
  };
  try {
    await untilAccepting(child, start, signal);
  } catch (error) {
    await stop(AbortSignal.abort());
    throw error;
  }
  return { pid: child.pid ?? 0, exited, stop, link };
}
