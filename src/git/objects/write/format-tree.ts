import { inTurns } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { isDirectory } from '#base/file-mode';

const SLASH = 0x2f;
/** Looking at as many entries takes less than a millisecond. */
const FEW_ENTRIES = 4000;

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
  const names = new Set<string>();
  return formatEntries(areSorted(entries) ? entries : [...entries].sort(compareEntries), names);
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
    pieces.push(formatEntries(some, names));
  return Buffer.concat(pieces);
}

/** Returns entries in git's order, in slices of the event loop. @throws the reason of the signal. */
export async function sortEntriesInTurns<E extends NewTreeEntry>(
  entries: readonly E[],
  signal?: AbortSignal,
): Promise<E[]> {
  if (entries.length <= FEW_ENTRIES && areSorted(entries)) return [...entries];
  return [...(await sortInTurns(entries, compareEntries, signal))];
}

/** Reports whether entries are in git's order. */
export function areSorted(entries: readonly NewTreeEntry[]): boolean {
  let before: NewTreeEntry | undefined;
  for (const entry of entries) {
    if (before !== undefined && compareEntries(before, entry) >= 0) return false;
    before = entry;
  }
  return true;
}

/** Names up to this length are compared faster by a loop than by a call. */
const MAX_LOOP_BYTES = 64;

/** Compares entries in git's order: by bytes, and a directory as if its name ended in a slash. */
function compareEntries(one: NewTreeEntry, other: NewTreeEntry): number {
  const [left, right] = [one.name, other.name];
  const length = Math.min(left.length, right.length);
  const order = compareBytes(left, right, length);
  if (order !== 0) return order;
  return (left[length] ?? endOf(one)) - (right[length] ?? endOf(other)) || left.length - right.length;
}

function compareBytes(left: Buffer, right: Buffer, length: number): number {
  if (length > MAX_LOOP_BYTES) return left.compare(right, 0, length, 0, length);
  for (let at = 0; at < length; at++) {
    const order = (left[at] ?? 0) - (right[at] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

/** Returns what follows the name where the order is determined; nothing is before NUL. */
function endOf({ mode }: NewTreeEntry): number {
  return isDirectory(mode) ? SLASH : -1;
}

/** @param names of the entries before; those of the entries are added. */
function formatEntries(entries: readonly NewTreeEntry[], names: Set<string>): Buffer {
  let length = 0;
  for (const { mode, name, oid } of entries)
    length += mode.toString(8).length + ' \0'.length + name.length + oid.length / 2;
  const tree = Buffer.allocUnsafe(length);
  let at = 0;
  for (const { mode, name: bytes, oid } of entries) {
    const name = bytes.toString('latin1');
    if (!isTreeName(name) || names.has(name))
      throw new Error(`a tree cannot hold the name ${JSON.stringify(name)} here`);
    names.add(name);
    at += tree.write(`${mode.toString(8)} ${name}\0`, at, 'latin1');
    at += tree.write(oid, at, 'hex');
  }
  return tree.subarray(0, at);
}

/** Reports whether a tree may have a name, one character per byte. */
export function isTreeName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}
