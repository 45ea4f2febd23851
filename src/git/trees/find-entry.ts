import { isDirectory } from '#base/file-mode';
import type { RawObject } from '../names/object-info.ts';
import { isPlainPath } from '../names/plain-path.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import { searchTree } from '../objects/parse/find-in-tree.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import { treeTable } from './tree-table.ts';

/** Number of searches after which a tree gets a table of its names. */
const MAX_SEARCHES = 2;

/** A tree for looking up names. */
class SearchedTree {
  readonly #object: RawObject;
  #searches = 0;
  #byName: Promise<ReadonlyMap<string, TreeEntry>> | undefined;

  constructor(object: RawObject) {
    this.#object = object;
  }

  async find(name: Buffer, signal: AbortSignal | undefined): Promise<TreeEntry | undefined> {
    if (this.#searches++ < MAX_SEARCHES) return await searchTree(this.#object, name, signal);
    this.#byName ??= treeTable(this.#object, signal);
    return (await this.#byName).get(name.toString('latin1'));
  }
}

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

export interface Directory {
  /** Without a trailing slash; empty for the top. */
  readonly path: Buffer;
  find(name: Buffer): Promise<TreeEntry | undefined>;
}

interface Node {
  readonly directory: Directory;
  /** By name, one character per byte; `undefined` for what is no directory. */
  readonly children: Map<string, Promise<Node | undefined>>;
}

/**
 * Finds the directories above many paths. It goes down from the top and ends at the first one that
 * does not exist, so a path takes no longer than its bytes however many parts it has. It keeps the
 * trees that it has read, so it lives as long as one call.
 */
export class DirectoriesAbove {
  readonly #objects: ObjectReader;
  readonly #options: ReadOptions;
  readonly #revision: Buffer;
  #top: Promise<Node | undefined> | undefined;

  constructor(objects: ObjectReader, revision: Buffer, options: ReadOptions = {}) {
    this.#objects = objects;
    this.#revision = revision;
    this.#options = options;
  }

  /**
   * Yields the directories above a path that exist, the top first; each is the same object for all
   * paths. May be called concurrently.
   *
   * @param path has no empty part, `.` or `..`.
   * @throws {GitalyError} as `ObjectReader.info` does.
   */
  async *of(path: Buffer): AsyncGenerator<Directory, void, undefined> {
    this.#top ??= this.#read(Buffer.concat([this.#revision, COLON]), NO_BYTES);
    let node = await this.#top;
    for (let at = 0; node !== undefined; ) {
      yield node.directory;
      const slash = path.indexOf(SLASH, at);
      if (slash === -1) return;
      node = await this.#child(node, path.subarray(at, slash), path.subarray(0, slash));
      at = slash + 1;
    }
  }

  #child({ directory, children }: Node, name: Buffer, path: Buffer): Promise<Node | undefined> {
    const key = name.toString('latin1');
    const known = children.get(key);
    if (known !== undefined) return known;
    const found = directory
      .find(name)
      .then((entry) =>
        entry !== undefined && isDirectory(entry.mode) ? this.#read(Buffer.from(entry.oid), path) : undefined,
      );
    children.set(key, found);
    return found;
  }

  async #read(name: Buffer, path: Buffer): Promise<Node | undefined> {
    const object = await this.#objects.readObject(name, this.#options);
    if (object?.type !== 'tree') return undefined;
    const tree = new SearchedTree(object);
    const find = (entry: Buffer) => tree.find(entry, this.#options.signal);
    return { directory: { path, find }, children: new Map() };
  }
}
