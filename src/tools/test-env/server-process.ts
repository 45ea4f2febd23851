import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { EnvironmentFiles } from './environment-files.ts';

/** A server as a process of its own, which ends with this process, however that ends. */
export interface ServerProcess extends AsyncDisposable {
  readonly exited: Promise<unknown>;
}

const START_LIMIT_MS = 60_000;
const CONNECT_EVERY_MS = 5;
/** Characters of the log in an error; the reason is at its end. */
const LOG_TAIL_LENGTH = 3000;
/**
 * Ends the server when descriptor 3 is closed, which happens with this process even if that is
 * killed. The server does not inherit the descriptor.
 */
const SUPERVISE = `
"$@" 3<&- & server=$!
( read -r _ <&3; kill -TERM $server; sleep 5; kill -KILL $server ) 2>/dev/null & guard=$!
wait $server; code=$?
kill $guard 2>/dev/null
exit $code`;

/**
 * Starts the server of an environment and waits until it accepts connections.
 *
 * @throws {Error} with the end of the log if it does not
 */
export async function startServer(files: EnvironmentFiles, signal: AbortSignal): Promise<ServerProcess> {
  const log = openSync(files.log, 'w');
  const { HOME: _home, XDG_CONFIG_HOME: _config, ...environment } = process.env; // settings of the user's git
  const child = spawn(
    '/bin/sh',
    ['-c', SUPERVISE, 'sh', `${files.programs}/gitaly`, files.config],
    // A group of its own: Ctrl-C reaches only this process, which then stops the server.
    { stdio: ['ignore', log, log, 'pipe'], env: environment, cwd: files.directory, detached: true },
  );
  closeSync(log);
  const exited = once(child, 'exit');
  const guard = child.stdio[3] as Writable; // "pipe" above
  guard.on('error', () => {}); // the shell is gone
  const stop = async (): Promise<void> => {
    guard.destroy();
    await exited;
  };
  try {
    await accepting(files, child, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { exited, [Symbol.asyncDispose]: stop };
}

async function accepting(files: EnvironmentFiles, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await connects(files.socket))) {
    signal.throwIfAborted();
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    if (!hasEnded && performance.now() < limit) await delay(CONNECT_EVERY_MS);
    else {
      const tail = readFileSync(files.log, 'utf8').slice(-LOG_TAIL_LENGTH);
      throw new Error(
        `the server ${hasEnded ? 'ended' : 'does not accept connections'}. ${files.log}:\n${tail}`,
      );
    }
  }
}

/** Reports whether a server listens on a socket. */
export async function connects(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // not yet
  } finally {
    socket.destroy();
  }
}
