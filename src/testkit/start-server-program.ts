import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { until } from './until.ts';

export interface ServerProgram {
  readonly program: string;
  readonly args: readonly string[];
  /** Port on loopback on which it listens when it is ready. */
  readonly port: number;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a program that listens on a port, and waits until it does. It is killed when disposed. */
export async function startServerProgram(options: ServerProgram): Promise<AsyncDisposable> {
  const { program, args, port, env } = options;
  await using stack = new AsyncDisposableStack();
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  const exited = once(child, 'exit');
  stack.defer(async () => {
    child.kill();
    await exited;
  });
  await until(() => isListening(port));
  return stack.move();
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
