import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { abortable } from '#base/async/abortable';
import { INHERITED_VARIABLE, type InheritedVariable, parseReady } from './inherited-sockets.ts';
import type { ListeningSocket } from './listening-socket.ts';

/** Program and arguments of the next process. */
export interface SuccessorCommand {
  readonly file: string;
  readonly args: readonly string[];
}

export interface SuccessorOptions {
  readonly sockets: readonly ListeningSocket[];
  /** Ends the attempt, and the new process. */
  readonly signal: AbortSignal;
  readonly command: SuccessorCommand;
  /** Variables in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A new process that accepts calls. */
export interface Successor {
  readonly pid: number;
  /** Names of the sockets that it listens on. */
  readonly taken: ReadonlySet<string>;
}

/** As in tableflip. */
const READY_TIMEOUT_MS = 60_000;
/** Limit of the message of a successor. */
const MAX_READY_BYTES = 64 * 1024;
/** Descriptors of the child before the sockets: standard streams. */
const FIRST_FD = 3;
/**
 * Starts this program again with the listening sockets, and waits until the new process accepts
 * calls. Both processes accept connections from then on, until this one closes its sockets; none is
 * lost in between. The new process outlives this one.
 *
 * @throws {Error} with tableflip's text when the new process ends, or is not ready in time (then it
 *   is killed).
 */
export async function startSuccessor(options: SuccessorOptions): Promise<Successor> {
  const { sockets, signal, command } = options;
  const control = FIRST_FD + sockets.length;
  const variable: InheritedVariable = {
    control,
    sockets: sockets.map(({ name, keepsFile }, index) => ({ name, keepsFile, fd: FIRST_FD + index })),
  };
  const child = spawn(command.file, command.args, {
    stdio: ['inherit', 'inherit', 'inherit', ...sockets.map(({ fd }) => fd), 'pipe'],
    env: { ...process.env, ...options.env, [INHERITED_VARIABLE]: JSON.stringify(variable) },
  });
  const title = `child ${child.pid}`;
  const ended = once(child, 'exit').then(
    ([code, killedBy]: (number | string | null)[]) => {
      throw new Error(
        `${title} exited: ${killedBy === null ? `exit status ${code}` : `signal: ${killedBy}`}`,
      );
    },
    (error: unknown) => {
      throw new Error(`can't start child: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    },
  );
  ended.catch(() => {}); // after the race nothing waits for it
  const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_TIMEOUT_MS)]);
  const { pid } = child;
  try {
    const stream = child.stdio.at(control);
    if (pid === undefined || !(stream instanceof Duplex)) return await ended;
    const ready = abortable(firstLine(stream), limit, () =>
      signal.aborted ? new Error('terminating') : new Error(`new ${title} timed out`),
    );
    const taken = parseReady(await Promise.race([ready, ended]));
    child.unref();
    // The socket stays open until this process ends, which is how the successor detects the end.
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
    return { pid, taken };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/**
 * Resolves to the first line; stays pending if the stream ends without one, because the exit shows
 * the reason.
 */
function firstLine(stream: Duplex): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
      else if (text.length > MAX_READY_BYTES) stream.destroy();
    });
  });
}
