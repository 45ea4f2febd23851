import { loopTurn } from '#base/loop-turns';
import { FallBackToGit } from '../in-process.ts';
import { EMPTY_TREE } from '../objects/object-id.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import type { NewTreeEntry } from '../objects/write/format-tree.ts';
import { canonicalMode, kindOf } from '../trees/entry-kind.ts';

/** Reads and writes trees. */
export interface TreeAccess {
  /** Reads a tree. @throws {FallBackToGit} when there is no such tree, or it is malformed. */
  readTree(oid: string): Promise<readonly TreeEntry[]>;
  writeTree(entries: readonly NewTreeEntry[]): Promise<string>;
}

/** Ids of trees. */
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
/** Merging directories of as many entries takes less than a millisecond. */
const FEW_ENTRIES = 500;

const EMPTY_TREES: ReadonlySet<string> = new Set(Object.values(EMPTY_TREE));

/**
 * Merges trees without starting git if no decision is needed: no file was changed on both sides,
 * and no change on one side can be a rename that would affect the other side. This covers most
 * merges.
 *
 * @returns the id of the merged tree, the same as that of `git merge-tree`.
 * @throws {FallBackToGit} for a merge that needs git; errors of reading and writing.
 */
export async function mergeInProcess(trees: TreeAccess, { base, ours, theirs }: ThreeTrees): Promise<string> {
  if (ours === theirs || base === theirs) return ours;
  if (base === ours) return theirs;
  const merge = new InProcessMerge(trees);
  const merged = await merge.mergeTrees(base, ours, theirs);
  if (await merge.mayHoldRenames()) throw new FallBackToGit('there may be renames');
  return merged?.oid ?? (await trees.writeTree([]));
}

type Entry = Pick<NewTreeEntry, 'mode' | 'oid'>;
type Side = 'ours' | 'theirs';

/** The change of an entry on one side; `undefined` for none. */
interface Change {
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

class InProcessMerge {
  readonly #trees: TreeAccess;
  readonly #changes: Record<Side, Change[]> = { ours: [], theirs: [] };
  #reads = 0;

  constructor(trees: TreeAccess) {
    this.#trees = trees;
  }

  /** Merges directories; `undefined` for one that becomes empty. */
  async mergeTrees(base: string | undefined, ours: string, theirs: string): Promise<Entry | undefined> {
    const [old, mine, yours] = await Promise.all([this.#read(base), this.#read(ours), this.#read(theirs)]);
    const names = new Set([...mine.keys(), ...yours.keys(), ...old.keys()]);
    const merged: NewTreeEntry[] = [];
    const below: Promise<void>[] = [];
    if (names.size > FEW_ENTRIES) await loopTurn();
    for (const name of names) {
      const [before, left, right] = [old.get(name), mine.get(name), yours.get(name)];
      const keep = (entry: Entry | undefined): void => {
        if (entry !== undefined)
          merged.push({ name: Buffer.from(name, 'latin1'), mode: entry.mode, oid: entry.oid });
      };
      const isSettled = isSame(left, right) || isSame(before, left) || isSame(before, right);
      if (isSettled) {
        if (!isSame(before, left)) this.#changes.ours.push({ before, after: left });
        if (!isSame(before, right)) this.#changes.theirs.push({ before, after: right });
        keep(isSame(before, left) ? right : left);
      } else below.push(this.#mergeBelow(before, left, right).then(keep));
    }
    // Waits for all of them, so that none still runs when one falls back to git.
    for (const result of await Promise.allSettled(below))
      if (result.status === 'rejected') throw result.reason;
    if (merged.length === 0) return undefined;
    if (merged.some(isUnusual)) throw new FallBackToGit('a tree is not one that git writes');
    const mode = 0o040000;
    if (isAllOf(merged, mine)) return { mode, oid: ours };
    if (isAllOf(merged, yours)) return { mode, oid: theirs };
    return { mode, oid: await this.#trees.writeTree(merged) };
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

  async #mergeBelow(
    before: Entry | undefined,
    left: Entry | undefined,
    right: Entry | undefined,
  ): Promise<Entry | undefined> {
    const areTrees = isTree(left) && isTree(right) && (before === undefined || isTree(before));
    if (!areTrees) throw new FallBackToGit('a file was changed on both sides');
    return await this.mergeTrees(before?.oid, left.oid, right.oid);
  }

  /** Reports whether changes added or removed files. */
  async #kinds(changes: readonly Change[]): Promise<{ adds: boolean; removes: boolean }> {
    const found = { adds: false, removes: false };
    const pending = [...changes];
    for (let change = pending.pop(); change !== undefined; change = pending.pop()) {
      const { before, after } = change;
      if (isTree(before) && isTree(after)) {
        const [old, now] = await Promise.all([this.#read(before.oid), this.#read(after.oid)]);
        for (const name of new Set([...old.keys(), ...now.keys()])) {
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

  async #read(oid: string | undefined): Promise<ReadonlyMap<string, Entry>> {
    if (oid === undefined) return new Map();
    if (this.#reads++ > MAX_READS) throw new FallBackToGit('very many trees have to be read');
    const entries = await this.#trees.readTree(oid);
    if (entries.length > MAX_ENTRIES) throw new FallBackToGit('a tree is very large');
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

function isTree(entry: Entry | undefined): entry is Entry {
  return entry !== undefined && kindOf(entry.mode) === 'tree';
}

/** Reports whether git would write an entry in another form. */
function isUnusual({ mode, oid }: Entry): boolean {
  return canonicalMode(mode) !== mode || EMPTY_TREES.has(oid);
}

function isAllOf(entries: readonly NewTreeEntry[], all: ReadonlyMap<string, Entry>): boolean {
  return (
    entries.length === all.size &&
    entries.every((entry) => isSame(entry, all.get(entry.name.toString('latin1'))))
  );
}
