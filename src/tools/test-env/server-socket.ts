import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const START_LIMIT_MS = 60_000;
const CONNECT_EVERY_MS = 5;
const LOOK_EVERY_MS = 50;
/** Characters of the log in an error; the reason is at its end. */
const LOG_TAIL_LENGTH = 3000;

/** A program that becomes a server. */
export interface StartingServer {
  readonly program: string;
  /** Socket on which it is ready. */
  readonly socket: string;
  /** File with its output. */
  readonly log: string;
}

/**
 * Waits until a server accepts connections.
 *
 * @throws {Error} with the end of the log if it does not; the reason of `signal`.
 */
export async function untilAccepting(
  child: ChildProcess,
  { log, program, socket }: StartingServer,
  signal: AbortSignal,
): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await connects(socket))) {
    signal.throwIfAborted();
    const isOver = hasEnded(child);
    if (!isOver && performance.now() < limit) await delay(CONNECT_EVERY_MS);
    else {
      const tail = readFileSync(log, 'utf8').slice(-LOG_TAIL_LENGTH).trim();
      throw new Error(`${program} ${isOver ? 'exited' : 'accepts no connections'}. ${log}:\n${tail}`);
    }
  }
}

export function hasEnded({ exitCode, pid, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

/**
 * Waits for the end of a server of an earlier run, until a time of `performance.now()`.
 *
 * @returns false if it still accepts connections.
 */
export async function hasEndedBy(deadlineMs: number, socket: string): Promise<boolean> {
  while (await connects(socket)) {
    if (performance.now() > deadlineMs) return false;
    await delay(LOOK_EVERY_MS);
  }
  return true;
}

async function connects(socketPath: string): Promise<boolean> {
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
