import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { attempt } from '#base/attempt';
import { isProcessAlive, isUncollected } from '#base/process-identity';

/** Number of bytes of a process's name that Linux keeps. */
const COMM_BYTES = 15;

/**
 * Returns the process that a PID file names, if it runs and has the program's name; a server sets
 * its own.
 *
 * @throws {Error} when the file cannot be read, or has no number in it.
 */
export function findServer(pidFile: string, program: string): number | undefined {
  const text = readFileSync(pidFile, 'utf8');
  if (!/^\d+$/.test(text)) throw new Error(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const pid = Number(text);
  const expected = basename(program).slice(0, COMM_BYTES);
  if (pid === 0) return undefined; // it would mean this process's group
  return isAlive(pid) && basename(nameOf(pid)) === expected ? pid : undefined;
}

/** Reports whether a process runs. One that has ended, but that its parent has not reaped, does not. */
export function isAlive(pid: number): boolean {
  return isProcessAlive(pid) && isUncollected(pid) !== true;
}

function nameOf(pid: number): string {
  return attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? nameFromPs(pid);
}

function nameFromPs(pid: number): string {
  return (
    attempt(() => execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim()) ?? ''
  );
}
