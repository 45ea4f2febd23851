import { loopTurn } from '#base/async/loop-turns';
import { DIRECTORY, EXECUTABLE, FILE } from '#base/file-mode';
import { FallBackToGit } from '../command/in-process.ts';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import { EMPTY_TREE, OID_DIGITS } from '../names/object-id.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import { areSorted, formatTree, isTreeName, type NewTreeEntry } from '../objects/write/format-tree.ts';
import { hashObject } from '../objects/write/object-hash.ts';

/** Reads and writes objects of a merge. */
export interface TreeAccess {
  /** Reads a tree. @throws {FallBackToGit} when there is no such tree, or it is malformed. */
  readTree(oid: string): Promise<readonly TreeEntry[]>;
  writeTree(entries: readonly NewTreeEntry[]): Promise<string>;
  /** Merges a file, and writes the result. @throws {FallBackToGit} for conflicts, and for git. */
  mergeFile(versions: FileVersions): Promise<string>;
}

/** Ids of a file's versions. */
export interface FileVersions extends ThreeTrees {
  readonly path: Buffer;
}

/** Ids of trees, or of other objects. */
export interface ThreeTrees {
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
}

/** Limit of trees that are read before the merge falls back to git. */
const MAX_READS = 2_000;
/**
 * Most entries of a tree that is merged in process: comparing and writing larger ones blocks the
 * event loop for more than 10 ms.
 */
const MAX_ENTRIES = 4000;
/** Limit of files that are merged line by line. */
const MAX_FILES = 100;
/** Merging directories of as many entries takes less than a millisecond. */
const FEW_ENTRIES = 500;

const EMPTY_TREES: ReadonlySet<string> = new Set(Object.values(EMPTY_TREE));

/**
 * Merges trees without starting git if no decision is needed: no change on one side conflicts with
 * the other side, or can be a rename that would affect it. This covers most merges.
 *
 * @returns the id of the merged tree, the same as that of `git merge-tree`.
 * @throws {FallBackToGit} for a merge that needs git; errors of reading and writing.
 */
export async function mergeInProcess(trees: TreeAccess, { base, ours, theirs }: ThreeTrees): Promise<string> {
  const merge = new InProcessMerge(trees);
  // git writes the top directory anew in any case, so all three are looked at.
  const merged = await merge.mergeTrees({ base, ours, theirs }, '');
  if (await merge.mayHoldRenames()) throw new FallBackToGit('there may be renames');
  if (merge.mayRewriteTrees) throw new FallBackToGit('both sides removed a file');
  return merged?.oid ?? (await trees.writeTree([]));
}

type Entry = Pick<NewTreeEntry, 'mode' | 'oid'>;
type Entries = ReadonlyMap<string, NewTreeEntry>;
type Side = 'ours' | 'theirs';

/** The change of an entry on one side; `undefined` for none. */
interface Change {
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

/** Trees of a directory; the base may have none. */
interface Sides {
  readonly base: string | undefined;
  readonly ours: string;
  readonly theirs: string;
}

/** An entry that both sides changed. */
interface Versions {
  readonly name: string;
  readonly before: Entry | undefined;
  readonly left: Entry | undefined;
  readonly right: Entry | undefined;
}

class InProcessMerge {
  readonly #trees: TreeAccess;
  readonly #changes: Record<Side, Change[]> = { ours: [], theirs: [] };
  #reads = 0;
  #files = 0;
  #isRemovedByBoth = false;
  #keepsUnreadTree = false;

  constructor(trees: TreeAccess) {
    this.#trees = trees;
  }

  /**
   * True if git looks for the new place of a file that both sides removed, in all directories that
   * one side changed: it writes them in its own form.
   */
  get mayRewriteTrees(): boolean {
    return this.#isRemovedByBoth && this.#keepsUnreadTree;
  }

  /**
   * Merges directories; `undefined` for one that becomes empty.
   *
   * @param path With a slash at its end; one character per byte.
   */
  async mergeTrees({ base, ours, theirs }: Sides, path: string): Promise<Entry | undefined> {
    const [old, mine, yours] = await Promise.all([this.#read(base), this.#read(ours), this.#read(theirs)]);
    const names = namesOf(mine, yours, old);
    const result = new MergedEntries(mine, yours);
    if (names.size > FEW_ENTRIES) await loopTurn();
    const undecided: Versions[] = [];
    for (const name of names) {
      const [before, left, right] = [old.get(name), mine.get(name), yours.get(name)];
      // git reads a directory that both sides have changed, even if they changed it in the same
      // way.
      const isSettled =
        (isSame(left, right) && !isTree(left)) || isSame(before, left) || isSame(before, right);
      if (isSettled) {
        const after = isSame(before, left) ? right : left;
        if (!isSame(before, left)) this.#changes.ours.push({ before, after: left });
        if (!isSame(before, right)) this.#changes.theirs.push({ before, after: right });
        this.#isRemovedByBoth ||= left === undefined && right === undefined;
        this.#keepsUnreadTree ||= isTree(after) && !isSame(before, after);
        result.add(name, after);
      } else undecided.push({ name, before, left, right });
    }
    for (const versions of undecided) result.add(versions.name, await this.#mergeBelow(versions, path));
    const { entries } = result;
    if (entries.length === 0) return undefined;
    if (result.isUnusual) throw new FallBackToGit('a tree is not one that git writes');
    const mode = DIRECTORY;
    if (result.isMine && isTreeOf(entries, ours)) return { mode, oid: ours };
    if (result.isYours && isTreeOf(entries, theirs)) return { mode, oid: theirs };
    return { mode, oid: await this.#trees.writeTree(entries) };
  }

  /**
   * Reports whether one side removed a file and the other added one (in a renamed directory, it may
   * have to move), or a file that both removed may have moved to different places.
   */
  async mayHoldRenames(): Promise<boolean> {
    const [few, many] = [this.#changes.ours, this.#changes.theirs].sort((a, b) => a.length - b.length);
    const first = await this.#kinds(few ?? []);
    if (!first.adds && !first.removes) return false;
    const second = await this.#kinds(many ?? []);
    return (first.removes && second.adds) || (first.adds && second.removes);
  }

  async #mergeBelow({ name, before, left, right }: Versions, path: string): Promise<Entry | undefined> {
    const isNoFile = before === undefined || isTree(before);
    if (isTree(left) && isTree(right) && isNoFile)
      return await this.mergeTrees(
        { base: before?.oid, ours: left.oid, theirs: right.oid },
        `${path}${name}/`,
      );
    if (!isUsualFile(before) || !isUsualFile(left) || !isUsualFile(right))
      throw new FallBackToGit('both sides changed what is not a file');
    if (left.mode !== right.mode && left.mode !== before.mode && right.mode !== before.mode)
      throw new FallBackToGit('both sides changed a mode');
    const mode = left.mode === before.mode ? right.mode : left.mode;
    return { mode, oid: await this.#mergeFile(Buffer.from(path + name, 'latin1'), before, left, right) };
  }

  async #mergeFile(path: Buffer, { oid: base }: Entry, { oid: ours }: Entry, { oid: theirs }: Entry) {
    if (ours === theirs || theirs === base) return ours;
    if (ours === base) return theirs;
    if (this.#files++ > MAX_FILES) throw new FallBackToGit('very many files have to be merged');
    return await this.#trees.mergeFile({ path, base, ours, theirs });
  }

  /** Reports whether changes added or removed files. */
  async #kinds(changes: readonly Change[]): Promise<{ adds: boolean; removes: boolean }> {
    const found = { adds: false, removes: false };
    const pending = [...changes];
    for (let change = pending.pop(); change !== undefined; change = pending.pop()) {
      const { before, after } = change;
      if (isTree(before) && isTree(after)) {
        const [old, now] = await Promise.all([this.#read(before.oid), this.#read(after.oid)]);
        for (const name of namesOf(old, now)) {
          const [was, is] = [old.get(name), now.get(name)];
          if (!isSame(was, is)) pending.push({ before: was, after: is });
        }
      } else {
        const isKept = before !== undefined && after !== undefined && !isTree(before) && !isTree(after);
        found.adds ||= after !== undefined && !isKept;
        found.removes ||= before !== undefined && !isKept;
      }
      if (found.adds && found.removes) break;
    }
    return found;
  }

  async #read(oid: string | undefined): Promise<Entries> {
    if (oid === undefined) return new Map();
    if (this.#reads++ > MAX_READS) throw new FallBackToGit('very many trees have to be read');
    const entries = await this.#trees.readTree(oid);
    if (entries.length > MAX_ENTRIES) throw new FallBackToGit('a tree is very large');
    if (!areSorted(entries)) throw new FallBackToGit('the entries of a tree are not in order');
    const byName = new Map(entries.map((entry) => [entry.name.toString('latin1'), entry]));
    if (byName.size < entries.length) throw new FallBackToGit('a tree has two entries of one name');
    return byName;
  }
}

function isSame(one: Entry | undefined, other: Entry | undefined): boolean {
  return (
    one === other ||
    (one !== undefined && other !== undefined && one.oid === other.oid && one.mode === other.mode)
  );
}

/**
 * Returns the names in several trees: those of the first tree, then the additional ones of the
 * others.
 */
function namesOf(first: Entries, ...others: readonly Entries[]): Set<string> {
  const names = new Set(first.keys());
  for (const other of others) for (const name of other.keys()) names.add(name);
  return names;
}

/** The entries of a merged directory, and what they have in common with those of both sides. */
class MergedEntries {
  readonly entries: NewTreeEntry[] = [];
  /** True while all entries are those of one side and none of that side is missing. */
  isMine = true;
  isYours = true;
  /** True if git would write an entry in another form, or not at all. */
  isUnusual = false;
  readonly #mine: Entries;
  readonly #yours: Entries;

  constructor(mine: Entries, yours: Entries) {
    this.#mine = mine;
    this.#yours = yours;
  }

  /** @param entry `undefined` for none; called once for each name of a side. */
  add(name: string, entry: Entry | undefined): void {
    const [left, right] = [this.#mine.get(name), this.#yours.get(name)];
    this.isMine &&= isSame(entry, left);
    this.isYours &&= isSame(entry, right);
    if (entry === undefined) return;
    const { mode, oid } = entry;
    this.isUnusual ||= canonicalMode(mode) !== mode || EMPTY_TREES.has(oid) || !isTreeName(name);
    this.entries.push({ name: (left ?? right)?.name ?? Buffer.from(name, 'latin1'), mode, oid });
  }
}

function isTree(entry: Entry | undefined): entry is Entry {
  return entry !== undefined && kindOf(entry.mode) === 'tree';
}

/** Files with other permissions than git writes are none of these. */
function isUsualFile(entry: Entry | undefined): entry is Entry {
  return entry !== undefined && (entry.mode === FILE || entry.mode === EXECUTABLE);
}

/** Reports whether git writes entries as the tree of an id: another one has them in a different form. */
function isTreeOf(entries: readonly NewTreeEntry[], oid: string): boolean {
  const objectFormat = oid.length === OID_DIGITS.sha1 ? 'sha1' : 'sha256';
  return hashObject(objectFormat, 'tree', formatTree(entries)) === oid;
}
