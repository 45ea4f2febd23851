import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/** Contents of `postmaster.pid`. */
export interface PidFile {
  readonly pid: number;
  /** `starting`, `ready`, `stopping`. */
  readonly state: string;
}

/** Time for a stop that writes everything to the disk. */
const FAST_STOP_MS = 10_000;
/** Time for a stop that writes nothing: the server kills its processes after 5 seconds. */
const IMMEDIATE_STOP_MS = 20_000;
const LOOK_EVERY_MS = 50;
/** Line of the state, from 0. */
const STATE_LINE = 7;

/** Returns the contents of the pid file; `undefined` if there is none. */
export async function readPidFile(data: string): Promise<PidFile | undefined> {
  const text = await readFile(pathOf(data), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return pid > 1 ? { pid, state: lines[STATE_LINE]?.trim() ?? '' } : undefined;
}

/**
 * Stops the server that a killed process left on the data. If the pid in its file now belongs to
 * another program, as in a container that was started again, the file is removed: PostgreSQL would
 * refuse to start.
 *
 * A fast stop during a crash recovery never ends in PostgreSQL 15: the server waits for its
 * checkpointer, which it does not end. It then gets the signal for an immediate stop. The data is
 * safe; the next start recovers it.
 *
 * @param fastStopMs time for the fast stop.
 * @throws {Error} when that server does not end.
 */
export async function endLeftover(data: string, fastStopMs = FAST_STOP_MS): Promise<void> {
  const left = await readPidFile(data);
  if (left === undefined) return;
  const program = await commandLine(left.pid);
  if (program === undefined) return; // it has ended, or PostgreSQL itself has to find out
  if (!program.includes(data)) {
    await rm(pathOf(data), { force: true });
    return;
  }
  if (await ends(data, left.pid, 'SIGINT', fastStopMs)) return;
  if (await ends(data, left.pid, 'SIGQUIT', IMMEDIATE_STOP_MS)) return;
  throw new Error(
    `PostgreSQL still runs on ${data} (process ${left.pid}) and does not respond. ` +
      `End it, and start again: kill -KILL ${left.pid}`,
  );
}

/** Sends a signal to the server of the data, and waits. Returns whether it has ended. */
async function ends(data: string, pid: number, signal: NodeJS.Signals, limitMs: number): Promise<boolean> {
  const limit = performance.now() + limitMs;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error;
  }
  while ((await commandLine(pid))?.includes(data)) {
    if (performance.now() > limit) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return true;
}

/**
 * Returns the arguments of a process, empty for one that waits to be reaped; `undefined` if it does
 * not run or the system has no `/proc`.
 */
async function commandLine(pid: number): Promise<string | undefined> {
  return await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
}

function pathOf(data: string): string {
  return join(data, 'postmaster.pid');
}
