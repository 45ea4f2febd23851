import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import { parseTree, type TreeEntry } from '../objects/parse-tree.ts';

/** What a tree holds, by name as latin1 text (one character a byte). */
type Names = ReadonlyMap<string, TreeEntry>;

const SLASH = 0x2f;
const COLON = Buffer.from(':');

/**
 * Finds what lies at a path of a revision, byte for byte: a path with an empty part, `.` or `..` in it, or a slash at an end, leads nowhere,
 * and neither does one through a file, a link or a submodule. The trees that were read are kept, so a finder lives as long as one call.
 */
export class EntryFinder {
  readonly #objects: ObjectReader;
  readonly #options: ReadOptions;
  readonly #trees = new Map<string, Promise<Names | undefined>>();

  constructor(objects: ObjectReader, options: ReadOptions = {}) {
    this.#objects = objects;
    this.#options = options;
  }

  /**
   * `undefined` when there is no such entry, no such revision, or the revision has no tree. Many may be looked for at once.
   *
   * @throws {GitalyError} as `ObjectReader.info` does.
   */
  async find(revision: Uint8Array, path: Uint8Array): Promise<TreeEntry | undefined> {
    if (!isPlainPath(path)) return undefined;
    const slash = path.lastIndexOf(SLASH);
    const directory = slash === -1 ? new Uint8Array(0) : path.subarray(0, slash);
    const names = await this.#tree(Buffer.concat([revision, COLON, directory]));
    return names?.get(latin1(path.subarray(slash + 1)));
  }

  #tree(name: Buffer): Promise<Names | undefined> {
    const key = latin1(name);
    const known = this.#trees.get(key);
    if (known !== undefined) return known;
    const tree = this.#read(name);
    this.#trees.set(key, tree);
    return tree;
  }

  async #read(name: Buffer): Promise<Names | undefined> {
    const tree = await this.#objects.readObject(name, this.#options);
    if (tree?.type !== 'tree') return undefined;
    const names = new Map<string, TreeEntry>();
    for (const entry of parseTree(tree.data, tree.oid.length === 40 ? 20 : 32)) {
      const key = latin1(entry.name);
      // Of two entries with one name (git lets them pass) the first counts.
      if (!names.has(key)) names.set(key, entry);
    }
    return names;
  }
}

/** Whether a path is one that git would print: no empty part, none that is `.` or `..`. */
function isPlainPath(path: Uint8Array): boolean {
  const parts = latin1(path).split('/');
  return parts.every((part) => part !== '' && part !== '.' && part !== '..');
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
