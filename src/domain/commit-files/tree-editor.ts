import type { ObjectWriter } from '#git/objects/write-objects';
import { type EntryKind, kindOf } from '#git/trees/entry-kind';
import { isRefusedName } from '#git/trees/refused-names';
import { EditedDirectory, TREE_MODE, type TreeSource } from './edited-directory.ts';

const SLASH = 0x2f;

/** What a path of an edited tree names. */
export interface EditedEntry {
  readonly mode: number;
  readonly kind: EntryKind;
  /** Of a directory that was changed: what it was before, empty when it is new. */
  readonly oid: string;
}

/** git would not write the tree: it puts something below a file, or uses a name or an id that git refuses. Clients know the message. */
export class RefusedTreeError extends Error {
  override readonly name = 'RefusedTreeError';

  constructor() {
    super('writing tree: exit status 128');
  }
}

/**
 * A tree that is changed in memory, and then written from the leaves up. Only the directories on the paths that are asked for are read,
 * only those that changed are written; all others keep their ids, and what is wrong in them stays wrong.
 *
 * Paths are relative and clean: no empty part, no `.` or `..`, no slash at an end. One call at a time.
 */
export class TreeEditor {
  readonly #root: EditedDirectory;

  /** @param treeOid the tree to begin with; `undefined` for an empty one. */
  constructor(source: TreeSource, treeOid: string | undefined) {
    this.#root = new EditedDirectory(source, treeOid);
  }

  /** `undefined` when there is nothing. */
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
   * Puts an entry where another one or nothing was, and makes the directories on the way.
   *
   * @throws {RefusedTreeError}
   */
  async put(path: Buffer, entry: { readonly mode: number; readonly oid: string }): Promise<void> {
    const { parents, name } = split(path);
    const isZero = /^0+$/.test(entry.oid);
    if (isZero || isRefusedName(name, entry.mode) || parents.some((part) => isRefusedName(part, TREE_MODE))) {
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

  /** Removes a file or a whole directory, and the directories above that are empty then. `false` when there was nothing. */
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

  /** Writes what changed. @returns the id of the whole tree. */
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
