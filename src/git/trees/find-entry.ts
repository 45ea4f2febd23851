import type { RawObject } from '../objects/object-info.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import { parseTree, type TreeEntry } from '../objects/parse-tree.ts';
import { findInTree } from './find-in-tree.ts';
import { isPlainPath } from './open-entry.ts';
import { oidBytesOf } from './tree-cursor.ts';

const SLASH = 0x2f;
const COLON = Buffer.from(':');
const NO_BYTES = Buffer.alloc(0);
/** A tree that is asked more often gets a table of its names. */
const MAX_SEARCHES = 2;

/**
 * Finds what lies at many paths, as `openEntry` does at one. The trees that were read are kept, so a finder lives as long as one call.
 */
export class EntryFinder {
  readonly #objects: ObjectReader;
  readonly #options: ReadOptions;
  readonly #trees = new Map<string, Promise<SearchedTree | undefined>>();

  constructor(objects: ObjectReader, options: ReadOptions = {}) {
    this.#objects = objects;
    this.#options = options;
  }

  /**
   * `undefined` when there is no such entry, no such revision, or the revision has no tree. Many may be looked for at once.
   *
   * @throws {GitalyError} as `ObjectReader.info` does.
   */
  async find(revision: Buffer, path: Buffer): Promise<TreeEntry | undefined> {
    if (!isPlainPath(path)) return undefined;
    const slash = path.lastIndexOf(SLASH);
    const directory = slash === -1 ? NO_BYTES : path.subarray(0, slash);
    const tree = await this.#tree(Buffer.concat([revision, COLON, directory]));
    return tree?.find(path.subarray(slash + 1));
  }

  #tree(name: Buffer): Promise<SearchedTree | undefined> {
    const key = name.toString('latin1');
    const known = this.#trees.get(key);
    if (known !== undefined) return known;
    const tree = this.#read(name);
    this.#trees.set(key, tree);
    return tree;
  }

  async #read(name: Buffer): Promise<SearchedTree | undefined> {
    const object = await this.#objects.readObject(name, this.#options);
    return object?.type === 'tree' ? new SearchedTree(object) : undefined;
  }
}

/** A tree in which names are looked up. */
class SearchedTree {
  readonly #object: RawObject;
  #searches = 0;
  /** Names as latin1 text, one character a byte. */
  #byName: Map<string, TreeEntry> | undefined;

  constructor(object: RawObject) {
    this.#object = object;
  }

  find(name: Buffer): TreeEntry | undefined {
    if (this.#searches++ < MAX_SEARCHES) return findInTree(this.#object, name);
    const { data, oid } = this.#object;
    this.#byName ??= table(parseTree(data, oidBytesOf(oid)));
    return this.#byName.get(name.toString('latin1'));
  }
}

/** Of two entries with one name (git lets them pass) the first counts. */
function table(entries: readonly TreeEntry[]): Map<string, TreeEntry> {
  return new Map(entries.toReversed().map((entry) => [entry.name.toString('latin1'), entry]));
}
