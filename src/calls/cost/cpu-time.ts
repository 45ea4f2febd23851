import { readFile } from 'node:fs/promises';

/** Linux counts in hundredths of a second for user space, whatever the kernel's own clock is. */
const MS_PER_TICK = 10;

/**
 * Returns the CPU time that a process and its finished children have used, in milliseconds;
 * `undefined` if it has ended, or where there is no `/proc`.
 */
export async function cpuTimeMs(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (text === undefined) return undefined;
  // The program's name, in parentheses, may contain anything. The third field follows it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0);
  return ticks * MS_PER_TICK;
}
