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
  const parts: Buffer[] = [];
  for (const { entry } of sorted) {
    const name = entry.name.toString('latin1');
    if (!isPossibleName(name) || names.has(name))
      throw new Error(`a tree cannot hold the name ${JSON.stringify(name)} here`);
    names.add(name);
    parts.push(
      Buffer.from(`${entry.mode.toString(8)} `),
      entry.name,
      Buffer.of(0),
      Buffer.from(entry.oid, 'hex'),
    );
  }
  return Buffer.concat(parts);
}

function isPossibleName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** Returns the sort key: git sorts by bytes, and a directory as if its name ended in a slash. */
function sortKey({ name, mode }: NewTreeEntry): Buffer {
  return (mode & FILE_TYPE) === TREE_MODE ? Buffer.concat([name, Buffer.of(SLASH)]) : name;
}
