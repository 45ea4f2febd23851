import type { TreeEntry } from './parse-tree.ts';

const TREE_MODE = 0o040000;
const SLASH = 0x2f;
const FILE_TYPE = 0o170000;

/**
 * The contents of a tree object. Entries may come in any order.
 *
 * @throws {Error} for what no tree may hold: two entries of one name; a name that is empty, `.`, `..`, or has a slash or a NUL in
 *   it. Names that only some file systems cannot have (`.GIT`, `git~1`) are the caller's to refuse.
 */
export function formatTree(entries: readonly TreeEntry[]): Buffer {
  const sorted = entries.map((entry) => ({ entry, key: sortKey(entry) })).sort((a, b) => Buffer.compare(a.key, b.key));
  const names = new Set<string>();
  const parts: Buffer[] = [];
  for (const { entry } of sorted) {
    const name = entry.name.toString('latin1');
    if (!isPossibleName(name) || names.has(name)) throw new Error(`a tree cannot hold the name ${JSON.stringify(name)} here`);
    names.add(name);
    parts.push(Buffer.from(`${entry.mode.toString(8)} `), entry.name, Buffer.of(0), Buffer.from(entry.oid, 'hex'));
  }
  return Buffer.concat(parts);
}

function isPossibleName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** git sorts by bytes, and a directory as if its name ended in a slash. */
function sortKey({ name, mode }: TreeEntry): Buffer {
  return (mode & FILE_TYPE) === TREE_MODE ? Buffer.concat([name, Buffer.of(SLASH)]) : name;
}
