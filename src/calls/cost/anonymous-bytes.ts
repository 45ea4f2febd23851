import { readFile } from 'node:fs/promises';

/**
 * Returns the anonymous memory of a process; `undefined` if it has ended, or where there is no
 * `/proc`.
 */
export async function anonymousBytes(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const [, kibibytes] = /^RssAnon:\s*(\d+) kB$/m.exec(text) ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
