import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** A server to start. */
export interface ServerCommand {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Working directory. */
  readonly directory: string;
  /** File for the output. */
  readonly log: string;
  /** Socket on which it is ready. */
  readonly socket: string;
}

/** A server that ends when this process ends, for whatever reason. */
export interface ChildServer extends AsyncDisposable {
  /** Resolves when the server has ended by itself. */
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
 * Starts a server as a separate process and waits until it accepts connections.
 *
 * @throws {Error} with the end of the log if it does not
 */
export async function startServer(server: ServerCommand, signal: AbortSignal): Promise<ChildServer> {
  const log = openSync(server.log, 'w');
  const { HOME: _home, XDG_CONFIG_HOME: _config, ...environment } = process.env; // settings of the user's git
  const child = spawn(
    '/bin/sh',
    ['-c', SUPERVISE, 'sh', ...server.command],
    // Its own process group: Ctrl-C reaches only this process, which then stops the server.
    { stdio: ['ignore', log, log, 'pipe'], env: environment, cwd: server.directory, detached: true },
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
    await accepting(server, child, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { exited, [Symbol.asyncDispose]: stop };
}

async function accepting(server: ServerCommand, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await connects(server.socket))) {
    signal.throwIfAborted();
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    if (!hasEnded && performance.now() < limit) await delay(CONNECT_EVERY_MS);
    else {
      const tail = readFileSync(server.log, 'utf8').slice(-LOG_TAIL_LENGTH);
      throw new Error(
        `the server ${hasEnded ? 'ended' : 'does not accept connections'}. ${server.log}:\n${tail}`,
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
