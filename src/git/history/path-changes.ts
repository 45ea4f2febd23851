import { DIRECTORY } from '#base/file-mode';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import { EMPTY_TREE, type Oid, oidBytesOf, trustedOid } from '../names/object-id.ts';
import { isPlainPath } from '../names/plain-path.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import { findInTree } from '../objects/parse/find-in-tree.ts';
import { areEqual, orderOf, TreeEntries } from '../trees/tree-entries.ts';
import { type PathKey, pathKeys } from './graph/path-filters.ts';

/** Limit of paths, each of which is searched for in every commit. */
const MAX_PATHS = 16;
/** Limits of the trees of one walk. */
export const PATH_CHANGES_LIMITS = {
  /**
   * Trees that are not cached: one of a long chain of deltas takes 0.1 ms here, and a tenth of that
   * in git. The next walk finds them cached, and comes further.
   */
  uncached: 100,
  /** Trees in all: one takes some 25 µs here, and a whole history of a file some 10 ms in git. */
  reads: 256,
} as const;
/** Limit of nested directories. */
const MAX_DEPTH = 200;

const SLASH = 0x2f;
const ROOT = Buffer.from('.');
/** Matches paths that git takes for patterns, unless they are literal. */
const PATTERN = /^:|[*?[\\]/;
const EMPTY_TREES: ReadonlySet<string> = new Set(Object.values(EMPTY_TREE));
const NO_BYTES = Buffer.alloc(0);

/** A file or directory of a commit. */
interface Entry {
  readonly mode: number;
  readonly oid: Oid;
}

/** Paths that limit a history, relative to the root, which is `.`. */
export interface PathSelection {
  readonly paths: readonly Uint8Array[];
  /** Paths are never patterns. Default false. */
  readonly literalPathspecs?: boolean | undefined;
}

/** Reports whether a path means itself to git: the root, or a plain path that is no pattern. */
export function isLiteralPath(
  path: Buffer,
  { literalPathspecs }: { readonly literalPathspecs: boolean },
): boolean {
  if (path.equals(ROOT)) return true;
  if (!literalPathspecs && PATTERN.test(path.toString('latin1'))) return false;
  return isPlainPath(path) && !path.includes(0);
}

/**
 * Returns the comparison of commits at some paths; `undefined` without paths.
 *
 * @throws as {@link PathChanges}.
 */
export function pathChanges(
  objects: ObjectReader,
  { paths = [], literalPathspecs }: Partial<PathSelection>,
  options: ReadOptions,
): PathChanges | undefined {
  return paths.length === 0 ? undefined : new PathChanges(objects, { paths, literalPathspecs }, options);
}

/**
 * Compares commits at some paths, as git does to leave commits out of a history. Keeps what it has
 * found, so it lives as long as one walk.
 */
export class PathChanges {
  readonly #objects: ObjectReader;
  /** Parts of each path; none for the root. */
  readonly #paths: readonly (readonly Buffer[])[];
  readonly #options: ReadOptions;
  /** The paths as filters of a commit-graph know them; `undefined` with the root among them. */
  readonly keys: readonly PathKey[][] | undefined;
  /** Entries at the rest of a path, by the id of the directory where the rest begins. */
  readonly #found = new Map<string, Entry | undefined>();
  #reads = 0;
  #uncached = 0;

  /** @throws {FallBackToGit} for very many paths, and for patterns. */
  constructor(
    objects: ObjectReader,
    { paths, literalPathspecs = false }: PathSelection,
    options: ReadOptions = {},
  ) {
    const names = paths.map((path) => Buffer.from(path));
    if (names.length > MAX_PATHS || !names.every((name) => isLiteralPath(name, { literalPathspecs })))
      throw new FallBackToGit('an unusual path');
    this.#objects = objects;
    this.#paths = names.map(partsOf);
    this.#options = options;
    this.keys = names.some((name) => name.equals(ROOT)) ? undefined : names.map(pathKeys);
  }

  /**
   * Reports whether a file at or below one of the paths differs between two trees.
   *
   * @param before `undefined` for none.
   * @throws {FallBackToGit} when a tree cannot be read, and after very many.
   */
  async differ(before: string | undefined, after: string): Promise<boolean> {
    if (before === after) return false;
    for (const [index] of this.#paths.entries()) {
      const old = before === undefined ? undefined : await this.#find(before, index);
      const now = await this.#find(after, index);
      if (await this.#entriesDiffer(old, now)) return true;
    }
    return false;
  }

  /** Finds a path in the tree of a commit. */
  async #find(root: string, index: number): Promise<Entry | undefined> {
    const parts = this.#paths[index] ?? [];
    let entry: Entry | undefined = { mode: DIRECTORY, oid: trustedOid(root) };
    const passed: string[] = [];
    for (const [depth, part] of parts.entries()) {
      if (entry === undefined || kindOf(entry.mode) !== 'tree') {
        entry = undefined;
        break;
      }
      const key = `${entry.oid} ${index} ${depth}`;
      if (this.#found.has(key)) {
        entry = this.#found.get(key);
        break;
      }
      passed.push(key);
      entry = await this.#look(entry.oid, part);
    }
    for (const key of passed) this.#found.set(key, entry);
    return entry;
  }

  async #look(tree: Oid, name: Buffer): Promise<Entry | undefined> {
    const data = await this.#read(tree);
    try {
      const found = findInTree({ oid: tree, type: 'tree', size: data.length, data }, name);
      return found && { mode: canonicalMode(found.mode), oid: found.oid };
    } catch (error) {
      return fallBackOnFailure(error);
    }
  }

  async #entriesDiffer(old: Entry | undefined, now: Entry | undefined): Promise<boolean> {
    if (old?.oid === now?.oid && old?.mode === now?.mode) return false;
    const hasFile = [old, now].some((entry) => entry !== undefined && kindOf(entry.mode) !== 'tree');
    // Trees differ also by directories without files, which git does not count.
    return hasFile || (await this.#treesDiffer(old?.oid, now?.oid, 0));
  }

  /** Reports whether a file below two directories differs; `undefined` for one that does not exist. */
  async #treesDiffer(before: string | undefined, after: string | undefined, depth: number): Promise<boolean> {
    if (depth > MAX_DEPTH) throw new FallBackToGit('there are very many nested directories');
    const oidBytes = oidBytesOf(before ?? after ?? '');
    const [left, right] = [await this.#read(before), await this.#read(after)];
    const [old, now] = [new TreeEntries(left, oidBytes), new TreeEntries(right, oidBytes)];
    const directories: (readonly [string | undefined, string | undefined])[] = [];
    while (!old.isAtEnd || !now.isAtEnd) {
      const order = orderOf(old, now);
      const [one, other] = [order <= 0 ? old : undefined, order >= 0 ? now : undefined];
      if (order !== 0 || !areEqual(old, now)) {
        if ((one ?? other)?.isTree !== true) return true;
        directories.push([one?.cursor.oid(), other?.cursor.oid()]);
      }
      one?.next();
      other?.next();
    }
    for (const [from, to] of directories) if (await this.#treesDiffer(from, to, depth + 1)) return true;
    return false;
  }

  async #read(oid: string | undefined): Promise<Buffer> {
    if (oid === undefined || EMPTY_TREES.has(oid)) return NO_BYTES;
    const isCached = this.#objects.cached(Buffer.from(oid)) !== undefined;
    if (!isCached) this.#uncached++;
    this.#reads++;
    const { uncached, reads } = PATH_CHANGES_LIMITS;
    if (this.#uncached > uncached || this.#reads > reads)
      throw new FallBackToGit('very many trees have to be read');
    const object = await this.#objects.readInProcess(oid, this.#options);
    if (object.type !== 'tree') throw new FallBackToGit('a tree is missing');
    return object.data;
  }
}

function partsOf(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; !path.equals(ROOT) && start <= path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash === -1 ? path.length : slash;
    parts.push(path.subarray(start, end));
    start = end + 1;
  }
  return parts;
}
