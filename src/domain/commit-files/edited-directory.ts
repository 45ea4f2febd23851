import { LoopSlice } from '#base/async/loop-turns';
import { DIRECTORY } from '#base/file-mode';
import { GitalyError } from '#base/gitaly-error';
import { kindOf } from '#git/names/entry-kind';
import { oidBytesOf, ZERO_OID } from '#git/names/object-id';
import type { RawObject } from '#git/names/object-info';
import type { ObjectReader } from '#git/objects/object-reader';
import { searchTree } from '#git/objects/parse/find-in-tree';
import { TreeCursor } from '#git/objects/parse/tree-cursor';
import type { ObjectWriter } from '#git/objects/write/write-objects';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { changeTree, type TreeChange } from '#git/trees/change-tree';
import { treeTable } from '#git/trees/tree-table';

/** Number of searches above which a table of all names is made. */
const MAX_SEARCHES = 2;
/** Bytes of the largest tree object that is read: a million entries. */
const MAX_TREE_BYTES = 64 * 1024 * 1024;

export interface TreeSource {
  readonly objects: ObjectReader;
  readonly objectFormat: ObjectFormatName;
  readonly signal?: AbortSignal | undefined;
}

export interface Child {
  readonly mode: number;
  /** Old id of an entered directory; empty if it is new. */
  readonly oid: string;
  /** Set when the directory has been entered. */
  readonly directory?: EditedDirectory | undefined;
}

/** One directory of an edited tree: its tree object, read on first use, and the changes to it. */
export class EditedDirectory {
  readonly #source: TreeSource;
  readonly #oid: string | undefined;
  /** Read on first use. */
  #tree: RawObject | undefined;
  /** Results of searches in the tree object, by name (latin-1). */
  readonly #found = new Map<string, Child | undefined>();
  /** All entries of the tree object; made after {@link MAX_SEARCHES} searches. */
  #table: ReadonlyMap<string, Child> | undefined;
  /** Changed entries by name, `undefined` for removed ones; also the entered directories. */
  readonly #edits = new Map<string, Child | undefined>();
  /** Number of entries in the tree object; counted on first use. */
  #storedEntries: number | undefined;
  /** Entries added, less the removed ones. */
  #growth = 0;

  /** @param oid of the tree object; `undefined` for a new directory. */
  constructor(source: TreeSource, oid: string | undefined) {
    this.#source = source;
    this.#oid = oid;
    if (oid === undefined)
      this.#tree = { oid: ZERO_OID[source.objectFormat], type: 'tree', size: 0, data: Buffer.alloc(0) };
  }

  async find(name: Buffer): Promise<Child | undefined> {
    const key = name.toString('latin1');
    return this.#edits.has(key) ? this.#edits.get(key) : await this.#stored(await this.#read(), name, key);
  }

  /** Returns the directory of that name; `undefined` if the name is free or no directory. */
  async enter(name: Buffer): Promise<EditedDirectory | undefined> {
    const child = await this.find(name);
    if (child === undefined || kindOf(child.mode) !== 'tree') return undefined;
    if (child.directory !== undefined) return child.directory;
    const directory = new EditedDirectory(this.#source, child.oid);
    this.#edits.set(name.toString('latin1'), { ...child, directory });
    return directory;
  }

  /** Adds an empty directory under a free name. */
  async make(name: Buffer): Promise<EditedDirectory> {
    const directory = new EditedDirectory(this.#source, undefined);
    await this.put(name, { mode: DIRECTORY, oid: '', directory });
    return directory;
  }

  async put(name: Buffer, child: Child): Promise<void> {
    if ((await this.find(name)) === undefined) this.#growth++;
    this.#edits.set(name.toString('latin1'), child);
  }

  async remove(name: Buffer): Promise<boolean> {
    if ((await this.find(name)) === undefined) return false;
    this.#growth--;
    this.#edits.set(name.toString('latin1'), undefined);
    return true;
  }

  async isEmpty(): Promise<boolean> {
    if (this.#growth > 0) return false;
    this.#storedEntries ??= await countEntries(await this.#read(), this.#source.signal);
    return this.#storedEntries + this.#growth === 0;
  }

  /** Writes the changed directories below, then this one if it changed. @returns its id. */
  async write(writer: ObjectWriter): Promise<string> {
    const { signal } = this.#source;
    const tree = await this.#read();
    const changes: TreeChange[] = [];
    const slice = new LoopSlice();
    for (const [key, child] of this.#edits) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      const name = Buffer.from(key, 'latin1');
      const entry = child && { mode: child.mode, oid: (await child.directory?.write(writer)) ?? child.oid };
      const stored = await this.#stored(tree, name, key);
      if (stored?.mode === entry?.mode && stored?.oid === entry?.oid) continue;
      changes.push({ name, oldMode: stored?.mode, entry });
    }
    if (changes.length === 0 && this.#oid !== undefined) return this.#oid;
    const oidBytes = oidBytesOf(tree.oid);
    return await writer.write('tree', await changeTree({ data: tree.data, oidBytes, signal }, changes));
  }

  async #stored(tree: RawObject, name: Buffer, key: string): Promise<Child | undefined> {
    if (this.#table !== undefined) return this.#table.get(key);
    if (this.#found.has(key)) return this.#found.get(key);
    if (this.#found.size >= MAX_SEARCHES) {
      this.#table = await treeTable(tree, this.#source.signal);
      return this.#table.get(key);
    }
    const entry = await searchTree(tree, name, this.#source.signal);
    this.#found.set(key, entry);
    return entry;
  }

  async #read(): Promise<RawObject> {
    if (this.#tree !== undefined) return this.#tree;
    const { objects, signal } = this.#source;
    const tree = await objects.readObject(this.#oid ?? '', { signal, maxBytes: MAX_TREE_BYTES });
    if (tree?.type !== 'tree') {
      throw new GitalyError('INTERNAL', 'reading tree: object not found', { metadata: { tree: this.#oid } });
    }
    this.#tree = tree;
    return tree;
  }
}

async function countEntries({ data, oid }: RawObject, signal: AbortSignal | undefined): Promise<number> {
  const cursor = new TreeCursor(data, oidBytesOf(oid));
  const slice = new LoopSlice();
  let count = 0;
  for (; cursor.next(); count++) if (slice.isOverAfterItem()) await slice.pause(signal);
  return count;
}
