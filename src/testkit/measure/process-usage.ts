import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Unit of the times in /proc. */
const TICK_MS = 10;

/**
 * Returns the other processes that name a directory, or a file in it, in their arguments, or that
 * work there.
 */
export function processIdsIn(directory: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids
    .map(Number)
    .filter((pid) => commandLine(pid).includes(directory) || isInside(workingDirectory(pid), directory));
}

/** Returns the command lines of {@link processIdsIn}. */
export function processesIn(directory: string): string[] {
  return processIdsIn(directory).map(commandLine);
}

/** Returns the number of a process's open descriptors. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Returns the paths of a process's open files in a directory; removed ones end in ` (deleted)`. */
export function openFilesIn(pid: number, directory: string): string[] {
  const links = `/proc/${pid}/fd`;
  return readdirSync(links)
    .map((name) => orEmpty(() => readlinkSync(`${links}/${name}`)))
    .filter((path) => isInside(path, directory));
}

/** Returns the limit of open descriptors of this process and its children. */
export function descriptorLimit(): number {
  return Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
}

/** Returns the resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;
}

/** Returns the least memory of an idle process in a time, or the first that is below a limit. */
export async function settledBytes(
  pid: number,
  { withinMs, below = 0 }: { readonly withinMs: number; readonly below?: number },
): Promise<number> {
  const end = performance.now() + withinMs;
  let least = residentBytes(pid);
  // Looks at intervals.
  for (; least >= below && performance.now() < end; await sleep(1000))
    least = Math.min(least, residentBytes(pid));
  return least;
}

/** Returns the peak resident memory of a process in bytes. */
export function peakResidentBytes(pid: number): number {
  return Number(/^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;
}

/** Returns a process's CPU time in seconds, without that of its children. */
export function cpuSeconds(pid: number): number {
  // The program's name is in parentheses and may contain spaces; user and system time are fields 14
  // and 15, in hundredths of a second.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Returns the CPU time in milliseconds of {@link processIdsIn} and of their ended children. */
export function cpuMsIn(directory: string): number {
  return processIdsIn(directory)
    .map((pid) => cpuTicks(pid).reduce((sum, ticks) => sum + ticks, 0) * TICK_MS)
    .reduce((sum, ms) => sum + ms, 0);
}

/** Returns user and system time of a process, then of its ended children; nothing once it has ended. */
function cpuTicks(pid: number): number[] {
  return orEmpty(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 15)
    .map(Number);
}

/** Returns the arguments, separated by spaces; empty for a process that has ended. */
export function commandLine(pid: number): string {
  return orEmpty(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1')).replaceAll('\0', ' ');
}

function workingDirectory(pid: number): string {
  return orEmpty(() => readlinkSync(`/proc/${pid}/cwd`));
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function orEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return ''; // it has just ended
  }
}
