import { isPlainPath } from '../names/plain-path.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import { SearchedTree } from './searched-tree.ts';

const SLASH = 0x2f;
const COLON = Buffer.from(':');
const NO_BYTES = Buffer.alloc(0);

/**
 * Finds the entries of many paths, as `openEntry` does for one. It keeps the trees that it has
 * read, so a finder lives as long as one call.
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
   * Finds an entry; `undefined` if there is no such entry or revision, or the revision has no tree.
   * May be called concurrently.
   *
   * @throws {GitalyError} as `ObjectReader.info` does.
   */
  async find(revision: Buffer, path: Buffer): Promise<TreeEntry | undefined> {
    if (!isPlainPath(path)) return undefined;
    const slash = path.lastIndexOf(SLASH);
    const directory = slash === -1 ? NO_BYTES : path.subarray(0, slash);
    const tree = await this.#tree(Buffer.concat([revision, COLON, directory]));
    return await tree?.find(path.subarray(slash + 1), this.#options.signal);
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
