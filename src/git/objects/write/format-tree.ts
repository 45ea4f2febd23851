import { inTurns, mapInTurns } from '#base/loop-turns';
import { sortInTurns } from '#base/sort-in-turns';

const TREE_MODE = 0o040000;
const SLASH = 0x2f;
const FILE_TYPE = 0o170000;

/** An entry of a tree that is to be written. */
export interface NewTreeEntry {
  readonly mode: number;
  /** Raw bytes, one path component. */
  readonly name: Buffer;
  readonly oid: string;
}

/**
 * Returns the contents of a tree object. Entries may have any order.
 *
 * @throws {Error} for entries that no tree may have: duplicate names; a name that is empty, `.`,
 *   `..`, or contains a slash or NUL. The caller refuses names that only some file systems cannot
 *   have (`.GIT`, `git~1`).
 */
export function formatTree(entries: readonly NewTreeEntry[]): Buffer {
  const sorted = entries
    .map((entry) => ({ entry, key: sortKey(entry) }))
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const names = new Set<string>();
  return Buffer.concat(sorted.map(({ entry }) => formatEntry(entry, names)));
}

/**
 * Returns the contents as {@link formatTree} does, in slices of the event loop.
 *
 * @throws as {@link formatTree}; the reason of the signal.
 */
export async function formatTreeInTurns(
  entries: readonly NewTreeEntry[],
  signal?: AbortSignal,
): Promise<Buffer> {
  const names = new Set<string>();
  const pieces: Buffer[] = [];
  for await (const some of inTurns(await sortEntriesInTurns(entries, signal), signal))
    pieces.push(Buffer.concat(some.map((entry) => formatEntry(entry, names))));
  return Buffer.concat(pieces);
}

/** Returns entries in git's order, in slices of the event loop. @throws the reason of the signal. */
export async function sortEntriesInTurns<E extends NewTreeEntry>(
  entries: readonly E[],
  signal?: AbortSignal,
): Promise<E[]> {
  const keyed = await mapInTurns(entries, (entry) => ({ entry, key: sortKey(entry) }), signal);
  const sorted = await sortInTurns(keyed, (a, b) => Buffer.compare(a.key, b.key), signal);
  return sorted.map(({ entry }) => entry);
}

/** @param names of the entries before; the entry's is added. */
function formatEntry({ mode, name: bytes, oid }: NewTreeEntry, names: Set<string>): Buffer {
  const name = bytes.toString('latin1');
  if (!isTreeName(name) || names.has(name))
    throw new Error(`a tree cannot hold the name ${JSON.stringify(name)} here`);
  names.add(name);
  return Buffer.concat([Buffer.from(`${mode.toString(8)} `), bytes, Buffer.of(0), Buffer.from(oid, 'hex')]);
}

/** Reports whether a tree may have a name, one character per byte. */
export function isTreeName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** Returns the sort key: git sorts by bytes, and a directory as if its name ended in a slash. */
function sortKey({ name, mode }: NewTreeEntry): Buffer {
  return (mode & FILE_TYPE) === TREE_MODE ? Buffer.concat([name, Buffer.of(SLASH)]) : name;
}
