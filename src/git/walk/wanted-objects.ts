import { SUBMODULE } from '#base/file-mode';
import { FallBackToGit } from '../command/in-process.ts';
import type { OidBytes } from '../names/object-id.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { areEqual, orderOf, TreeEntries } from '../trees/tree-entries.ts';

export interface WantedObjectsOptions {
  readonly objects: ObjectReader;
  readonly oidBytes: OidBytes;
  /** Leaves out all files. */
  readonly omitsFiles: boolean;
  /** Limit of {@link WantedObjects.wanted}, and of directories that are read. */
  readonly maxObjects: number;
  readonly signal: AbortSignal;
}

/** A directory, and those at the same path in other commits, whose contents are known already. */
interface Place {
  readonly tree: string;
  readonly others: readonly string[];
}

/** An entry that differs from those at its path, and earlier contents of that path. */
interface Candidate {
  readonly oid: string;
  readonly isTree: boolean;
  readonly earlier: string | undefined;
}

interface Found {
  readonly candidates: Candidate[];
  readonly removed: string[];
  readonly waiting: Place[];
}

const MANY = new FallBackToGit('there are very many objects');

/**
 * Collects the objects of commits without those that a client has, from what differs between
 * neighbours in the history.
 *
 * As with git's sparse walk, a file that was copied unchanged out of an unchanged directory is
 * found again, although the client has it.
 */
export class WantedObjects {
  /** Ids that were found, with an earlier object at the same path if there is one. */
  readonly wanted = new Map<string, string | undefined>();
  /** Ids of objects that the client has, or that are wanted: those that the wanted ones replace. */
  readonly known = new Set<string>();
  readonly #options: WantedObjectsOptions;
  #read = 0;

  constructor(options: WantedObjectsOptions) {
    this.#options = options;
  }

  /** Adds an object without what is in it. @throws {FallBackToGit} beyond the limit. */
  want(oid: string, earlier?: string): void {
    if (this.wanted.has(oid)) return;
    this.wanted.set(oid, earlier);
    if (this.wanted.size > this.#options.maxObjects) throw MANY;
  }

  /**
   * Adds a directory with all that is in it, but for what some others have.
   *
   * @param others Directories that the client has, or that were added with all that is in them.
   * @throws {FallBackToGit} when a directory cannot be read, and beyond the limit; {GitalyError} of
   *   an abort.
   */
  async add(tree: string, others: readonly string[] = []): Promise<void> {
    if (others.includes(tree) || !this.#isNew(tree)) return;
    const candidates: Candidate[] = [{ oid: tree, isTree: true, earlier: others[0] }];
    const waiting: Place[] = [{ tree, others }];
    const removed: string[] = [];
    // First everything that was replaced, because it may be somewhere else now.
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop())
      await this.#compare(place, { candidates, removed, waiting });
    const hasNewDirectory = candidates.some(
      (each, at) => at > 0 && each.isTree && each.earlier === undefined,
    );
    if (hasNewDirectory) await this.#exclude(removed);
    for (const { earlier, isTree, oid } of candidates)
      if (this.#isNew(oid) && (isTree || !this.#options.omitsFiles)) this.want(oid, earlier);
  }

  /** Compares a directory with others. Adds what differs, and the directories that are not there any more. */
  async #compare({ others, tree }: Place, { candidates, removed, waiting }: Found): Promise<void> {
    const entries = await this.#open(tree);
    const trees: OtherTree[] = [];
    const onRemoved = (oid: string, isTree: boolean): void => {
      this.known.add(oid);
      if (isTree) removed.push(oid);
    };
    for (const other of others) trees.push(new OtherTree(await this.#open(other), onRemoved));
    for (; !entries.isAtEnd; entries.next()) {
      let isKnown = false;
      const earlier: string[] = [];
      for (const other of trees) {
        const same = other.moveTo(entries);
        if (same === undefined) continue;
        if (areEqual(same, entries)) isKnown = true;
        else if (same.mode !== SUBMODULE) earlier.push(same.cursor.oid());
      }
      for (const oid of earlier) this.known.add(oid);
      if (isKnown || entries.mode === SUBMODULE) continue;
      const [oid, isTree] = [entries.cursor.oid(), entries.isTree];
      if (!this.#isNew(oid)) continue;
      candidates.push({ oid, isTree, earlier: earlier[0] });
      if (isTree) waiting.push({ tree: oid, others: earlier });
    }
    for (const other of trees) other.moveToEnd();
  }

  /** Marks all that is in some directories. */
  async #exclude(trees: readonly string[]): Promise<void> {
    // It grows during the loop.
    const waiting = new Set(trees);
    for (const tree of waiting) {
      for (const entries = await this.#open(tree); !entries.isAtEnd; entries.next()) {
        if (entries.mode === SUBMODULE) continue;
        const oid = entries.cursor.oid();
        this.known.add(oid);
        if (entries.isTree) waiting.add(oid);
      }
    }
  }

  #isNew(oid: string): boolean {
    return !this.wanted.has(oid) && !this.known.has(oid);
  }

  async #open(tree: string): Promise<TreeEntries> {
    const { maxObjects, objects, oidBytes, signal } = this.#options;
    if (++this.#read > maxObjects) throw MANY;
    const { data, type } = await objects.readInProcess(tree, { signal });
    if (type !== 'tree') throw new FallBackToGit('an object is not a tree');
    return new TreeEntries(data, oidBytes);
  }
}

/** A directory that is compared with another one, entry by entry. */
class OtherTree {
  readonly #entries: TreeEntries;
  /** True if the other one has an entry of this name. */
  #isMatched = false;
  readonly #onRemoved: (oid: string, isTree: boolean) => void;

  constructor(entries: TreeEntries, onRemoved: (oid: string, isTree: boolean) => void) {
    this.#entries = entries;
    this.#onRemoved = onRemoved;
  }

  /** Returns the entry with the name and kind of another tree's; `undefined` if there is none. */
  moveTo(entry: TreeEntries): TreeEntries | undefined {
    for (;;) {
      const order = orderOf(this.#entries, entry);
      if (order > 0) return undefined;
      if (order === 0) {
        this.#isMatched = true;
        return this.#entries;
      }
      this.#skip();
    }
  }

  moveToEnd(): void {
    while (!this.#entries.isAtEnd) this.#skip();
  }

  #skip(): void {
    const { cursor, isTree, mode } = this.#entries;
    if (!this.#isMatched && mode !== SUBMODULE) this.#onRemoved(cursor.oid(), isTree);
    this.#isMatched = false;
    this.#entries.next();
  }
}
