import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { type StartingServer, untilAccepting } from './server-socket.ts';

/** A server to start. */
export interface ServerCommand extends Omit<StartingServer, 'program'> {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Working directory. */
  readonly directory: string;
}

/** A server that ends when this process ends, for whatever reason. */
export interface ChildServer extends AsyncDisposable {
  /** Resolves when the server has ended by itself. */
  readonly exited: Promise<unknown>;
}

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
    await untilAccepting(child, { ...server, program: 'the server' }, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { exited, [Symbol.asyncDispose]: stop };
}
