import { readFile } from 'node:fs/promises';

/**
 * Returns the percentage of the last ten seconds in which a process of the host waited for a CPU.
 *
 * @returns `undefined` on a kernel without this file.
 */
export async function hostCpuPressure(path = '/proc/pressure/cpu'): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const average = /^some avg10=(\d+\.\d+)/m.exec(text)?.[1];
  return average === undefined ? undefined : Number(average);
}
