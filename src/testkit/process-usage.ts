import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Processes that name a directory, or something in it, in their arguments, or work there; this process is not among them. */
export function processIdsIn(directory: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.map(Number).filter((pid) => commandLine(pid).includes(directory) || isInside(workingDirectory(pid), directory));
}

/** Command lines of {@link processIdsIn}. */
export function processesIn(directory: string): string[] {
  return processIdsIn(directory).map(commandLine);
}

/** How many descriptors a process has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;
}

/** Processor time that a process has used, seconds, without that of its children. */
export function cpuSeconds(pid: number): number {
  // The name of the program is in parentheses and may have spaces; user and system time are fields 14 and 15, in hundredths.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Words are separated by spaces; empty for a process that has ended. */
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
