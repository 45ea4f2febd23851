import { type Dirent, lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { ignoreMissing } from './ignore-missing.ts';

/**
 * Returns the entries of a directory that was read with `withFileTypes` and `encoding: 'buffer'`.
 * Bun (1.4) returns names alone for these options: the types are then looked up.
 */
export function typedEntries(directory: string | Buffer, entries: Dirent<Buffer>[]): Dirent<Buffer>[] {
  const found: readonly unknown[] = entries;
  return found[0] instanceof Uint8Array
    ? found.flatMap((name) => typedEntry(Buffer.from(directory), name as Buffer))
    : entries;
}

/** Returns an entry by its name; nothing if it was removed in the meantime. */
function typedEntry(directory: Buffer, name: Buffer): Dirent<Buffer>[] {
  const stats = lstatSync(Buffer.concat([directory, Buffer.from('/'), name]), { throwIfNoEntry: false });
  // Of an entry only the name and the questions about its type are used, which stats have, too.
  return stats === undefined ? [] : [Object.assign(stats, { name }) as unknown as Dirent<Buffer>];
}

/** Returns the names of the entries of a directory; none if it does not exist. */
export async function entryNamesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(ignoreMissing)) ?? [];
}
