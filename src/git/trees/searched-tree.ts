import type { RawObject } from '../names/object-info.ts';
import { searchTree } from '../objects/parse/find-in-tree.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import { treeTable } from './tree-table.ts';

/** Number of searches after which a tree gets a table of its names. */
const MAX_SEARCHES = 2;

/** A tree for looking up names. */
export class SearchedTree {
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
