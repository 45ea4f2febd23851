import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { until } from '../until.ts';

export interface ServerProgram {
  readonly program: string;
  readonly args: readonly string[];
  /** Port on loopback on which it listens when it is ready. */
  readonly port: number;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningProgram extends AsyncDisposable {
  /** Ends the program with SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}, and waits until it listens. */
  restart(): Promise<void>;
}

/** Starts a program that listens on a port, and waits until it does. It is ended when disposed. */
export async function startServerProgram({
  program,
  args,
  port,
  env,
}: ServerProgram): Promise<RunningProgram> {
  let end: (signal?: NodeJS.Signals) => Promise<void> = async () => {};
  const start = async (): Promise<void> => {
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
    const exited = once(child, 'exit');
    end = async (signal) => {
      child.kill(signal);
      await exited;
    };
    await until(() => isListening(port));
  };
  await using stack = new AsyncDisposableStack();
  stack.defer(() => end());
  await start();
  const running = stack.move();
  return {
    kill: () => end('SIGKILL'),
    restart: start,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // not yet
  } finally {
    socket.destroy();
  }
}
