import { DIRECTORY } from '#base/file-mode';
import { type EntryKind, kindOf } from '#git/names/entry-kind';
import type { ObjectWriter } from '#git/objects/write/write-objects';
import { isRefusedName } from '#git/trees/refused-names';
import { EditedDirectory, type TreeSource } from './edited-directory.ts';

const SLASH = 0x2f;

export interface EditedEntry {
  readonly mode: number;
  readonly kind: EntryKind;
  /** Old id of a changed directory; empty if it is new. */
  readonly oid: string;
}

/**
 * git would not write the tree: it has an entry below a file, or a name or an id that git refuses.
 * Clients depend on the message.
 */
export class RefusedTreeError extends Error {
  override readonly name = 'RefusedTreeError';

  constructor() {
    super('writing tree: exit status 128');
  }
}

/**
 * A tree that is changed in memory and then written from the leaves up. Only directories on the
 * used paths are read, and only changed ones are written; all others keep their ids, even invalid
 * ones.
 *
 * Paths are relative and clean: no empty part, no `.` or `..`, no slash at either end. Only one
 * call may run at a time.
 */
export class TreeEditor {
  readonly #root: EditedDirectory;

  /** @param treeOid the tree to change; `undefined` for an empty one. */
  constructor(source: TreeSource, treeOid: string | undefined) {
    this.#root = new EditedDirectory(source, treeOid);
  }

  /** Returns the entry at a path; `undefined` when there is none. */
  async find(path: Buffer): Promise<EditedEntry | undefined> {
    const { parents, name } = split(path);
    let directory: EditedDirectory | undefined = this.#root;
    for (const part of parents) {
      directory = await directory.enter(part);
      if (directory === undefined) return undefined;
    }
    const found = await directory.find(name);
    return found && { mode: found.mode, kind: kindOf(found.mode), oid: found.oid };
  }

  /**
   * Adds or replaces an entry, and creates missing directories above it.
   *
   * @throws {RefusedTreeError}
   */
  async put(path: Buffer, entry: { readonly mode: number; readonly oid: string }): Promise<void> {
    const { parents, name } = split(path);
    const isZero = /^0+$/.test(entry.oid);
    if (isZero || isRefusedName(name, entry.mode) || parents.some((part) => isRefusedName(part, DIRECTORY))) {
      throw new RefusedTreeError();
    }
    let directory = this.#root;
    for (const part of parents) {
      const next = await directory.enter(part);
      if (next === undefined && (await directory.find(part)) !== undefined) throw new RefusedTreeError();
      directory = next ?? (await directory.make(part));
    }
    await directory.put(name, entry);
  }

  /**
   * Removes a file or a whole directory, and the directories above it that become empty.
   *
   * @returns whether there was an entry.
   */
  async remove(path: Buffer): Promise<boolean> {
    const { parents, name } = split(path);
    const above: { readonly directory: EditedDirectory; readonly name: Buffer }[] = [];
    let directory: EditedDirectory | undefined = this.#root;
    for (const part of parents) {
      above.push({ directory, name: part });
      directory = await directory.enter(part);
      if (directory === undefined) return false;
    }
    if (!(await directory.remove(name))) return false;
    for (let up = above.pop(); up !== undefined && (await directory.isEmpty()); up = above.pop()) {
      ({ directory } = up);
      await directory.remove(up.name);
    }
    return true;
  }

  /** Writes the changed directories. @returns the id of the whole tree. */
  async write(writer: ObjectWriter): Promise<string> {
    return await this.#root.write(writer);
  }
}

function split(path: Buffer): { parents: Buffer[]; name: Buffer } {
  const parents: Buffer[] = [];
  let start = 0;
  for (let slash = path.indexOf(SLASH); slash !== -1; slash = path.indexOf(SLASH, start)) {
    parents.push(path.subarray(start, slash));
    start = slash + 1;
  }
  return { parents, name: path.subarray(start) };
}
