import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Command lines of the processes that name a directory, or something in it, in their arguments; this process is not among them. */
export function processesIn(directory: string): string[] {
  return otherProcesses()
    .map(commandLineOf)
    .filter((line) => line.includes(directory));
}

/** Command lines of the processes whose working directory is a directory, or in it; this process is not among them. */
export function processesAt(directory: string): string[] {
  return otherProcesses()
    .filter((pid) => placeOf(pid).startsWith(directory))
    .map(commandLineOf);
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

function otherProcesses(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
}

function commandLineOf(pid: string): string {
  return readOr(`/proc/${pid}/cmdline`, '').replaceAll('\0', ' ');
}

function placeOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return ''; // it has just ended, or belongs to another user
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return otherwise; // it has just ended
  }
}
