import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/** Contents of `postmaster.pid`. */
export interface PidFile {
  readonly pid: number;
  /** `starting`, `ready`, `stopping`. */
  readonly state: string;
}

const END_LIMIT_MS = 30_000;
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
 * @throws {Error} when that server does not end.
 */
export async function endLeftover(data: string): Promise<void> {
  const left = await readPidFile(data);
  if (left === undefined) return;
  const program = await commandLine(left.pid);
  if (program === undefined) return; // it has ended, or PostgreSQL itself has to find out
  if (!program.includes(data)) {
    await rm(pathOf(data), { force: true });
    return;
  }
  const limit = performance.now() + END_LIMIT_MS;
  endProcess(left.pid);
  while ((await commandLine(left.pid))?.includes(data)) {
    if (performance.now() > limit)
      throw new Error(
        `PostgreSQL still runs on ${data} (process ${left.pid}). Stop it: kill -INT ${left.pid}`,
      );
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGINT'); // ends sessions and stops
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error;
  }
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
