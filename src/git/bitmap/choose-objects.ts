import { LoopSlice } from '#base/async/loop-turns';
import { SUBMODULE } from '#base/file-mode';
import { BriefMemory } from '#base/memory/brief-memory';
import { FallBackToGit } from '../command/in-process.ts';
import { childrenFirst } from '../history/graph/children-first.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import { parseNode } from '../history/graph/commit-nodes.ts';
import { OID_DIGITS, OID_SOURCE, type OidBytes } from '../names/object-id.ts';
import type { ObjectType } from '../names/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { tagTarget } from '../objects/parse/tag-target.ts';
import { areEqual, orderOf, TreeEntries } from '../trees/tree-entries.ts';
import { addBits, type BitmapFile, hasBit, setBit } from './bitmap-file.ts';
import type { BitmappedPacks, LoadedBitmaps } from './bitmapped-packs.ts';
import type { PackOrder } from './pack-order.ts';

/** The objects that are needed for some wanted ones. */
export interface ChosenObjects extends LoadedBitmaps {
  /** Those in the packs, in their order. */
  readonly bits: Uint32Array;
  /** Wanted objects, as ids, for which more than the chosen ones are needed. */
  readonly tips: readonly string[];
  /** Chosen commits, including all commits that these objects lead to. */
  readonly bases: readonly string[];
}

/** A reference to a tag, or to something else. */
export interface NamedTag {
  readonly oid: string;
  /** Final target of the tag, if it is known. */
  readonly peeledOid: string | undefined;
}

export interface ChoiceOptions {
  readonly objects: ObjectReader;
  readonly oidBytes: OidBytes;
  /** Types that need not be found, because they are left out: files, or directories and files. */
  readonly leftOut: readonly ObjectType[];
  /** True if only git may find objects far from bitmaps, so that {@link ChosenObjects.tips} is empty. */
  readonly isNear: boolean;
  /** Objects that are chosen from the beginning, with all that they need, by their commits. */
  readonly known?: { readonly commits: readonly string[]; readonly bits: Uint32Array } | undefined;
  readonly signal: AbortSignal;
}

/** Commits between wanted ones and those that have bitmaps: a busy day's, or 0.2 s. */
const MAX_WALKED = 10_000;
/**
 * Commits in the packs without a bitmap whose directories are compared here. For a clone, two
 * processes of git take as long to start.
 */
const MAX_COMPARED = 64;
/** The same of a client with commits: git, too, compares those between two bitmaps of a pack. */
const MAX_COMPARED_NEAR = 512;
/** Requests with more commits are seldom repeated. */
const MAX_REMEMBERED_COMMITS = 8;
/**
 * The objects that some commits need, by the bitmaps and the commits: several clients often want or
 * have the same ones, and the next ones follow on them.
 */
const recentBits = new BriefMemory<Uint32Array>({
  maxBytes: 8 << 20,
  maxValueBytes: 128 << 10,
  maxAgeMs: 30_000,
  sizeOf: (bits) => bits.byteLength,
});
const NEWLINE = 0x0a;
const ID = new RegExp(`^${OID_SOURCE}`);

const NEW_TAG = new FallBackToGit('a tag is not in the packs');
const UNUSUAL = new FallBackToGit('an object is unusual');
const MANY = new FallBackToGit('many commits have no bitmap');
const FAR = new FallBackToGit('commits are far from bitmaps');

/** Chooses objects of packs by their bitmaps, as git does for a clone. */
export class ObjectChoice {
  readonly #packs: BitmappedPacks;
  readonly #bitmap: BitmapFile;
  readonly #options: ChoiceOptions;
  readonly #slice: LoopSlice;
  readonly #order: PackOrder;
  readonly #bits: Uint32Array;
  readonly #scratch: Uint32Array;
  /** Wanted objects, the targets of wanted tags, and the commits outside the packs. */
  readonly #named = new Set<string>();
  readonly #tips = new Set<string>();
  readonly #bases: string[] = [];
  /** Commits of the packs without a bitmap. */
  readonly #unmarked = new Set<string>();
  #walked = 0;

  private constructor(
    packs: BitmappedPacks,
    options: ChoiceOptions,
    { bitmap, order }: LoadedBitmaps,
    slice: LoopSlice,
  ) {
    this.#packs = packs;
    this.#options = options;
    this.#bitmap = bitmap;
    this.#order = order;
    this.#slice = slice;
    this.#bits = options.known?.bits.slice() ?? bitmap.noBits();
    this.#scratch = bitmap.noBits();
  }

  /** Reads the bitmaps. @throws {FallBackToGit}; the system's error; {GitalyError} of an abort. */
  static async start(packs: BitmappedPacks, options: ChoiceOptions): Promise<ObjectChoice> {
    const slice = new LoopSlice();
    const loaded = await packs.load(() => slice.pause(options.signal));
    return new ObjectChoice(packs, options, loaded, slice);
  }

  /**
   * Adds everything that some objects need.
   *
   * @param wants ids in hexadecimal.
   * @throws {FallBackToGit} when only git finds it; the system's error; {GitalyError} of an abort.
   */
  async addAll(wants: readonly string[]): Promise<ChosenObjects> {
    if (!this.#addRecent(wants)) {
      await this.#followAll(wants);
      const { isNear, known } = this.#options;
      // Else the bits have more than these commits need.
      const isExact = known?.commits.every((oid) => this.#unmarked.has(oid)) ?? true;
      if (isNear && isExact && wants.length <= MAX_REMEMBERED_COMMITS)
        recentBits.set(this.#keyOf(wants), this.#bits.slice());
    }
    const [bitmap, order] = [this.#bitmap, this.#order];
    return { bitmap, order, bits: this.#bits, tips: [...this.#tips], bases: this.#bases };
  }

  /** Adds what some commits need, if another client had or wanted them. @returns false if not. */
  #addRecent(commits: readonly string[]): boolean {
    if (!this.#options.isNear || commits.length > MAX_REMEMBERED_COMMITS) return false;
    const recent = recentBits.get(this.#keyOf(commits));
    if (recent !== undefined) addBits(this.#bits, recent);
    return recent !== undefined;
  }

  #keyOf(commits: readonly string[]): string {
    return `${this.#packs.key} ${commits.join(' ')}`;
  }

  async #followAll(wants: readonly string[]): Promise<void> {
    const seen = this.#named;
    for (const want of wants) seen.add(want);
    for (const want of seen) if (this.#bitOf(want) === undefined) this.#tips.add(want);
    if (this.#options.isNear && this.#tips.size > 0) throw FAR;
    // Iterating a set includes the elements that are added during the iteration.
    for (const oid of seen) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#options.signal);
      for (const next of await this.#add(oid)) seen.add(next);
    }
    await this.#addUnmarked();
  }

  /**
   * Adds the objects of the packs in a list: an old file may come back in a new commit.
   *
   * @param list as `git rev-list --objects` prints it.
   * @returns the lines of other objects.
   */
  async addListed(list: Buffer): Promise<Buffer[]> {
    const others: Buffer[] = [];
    for (let at = 0; at < list.length; ) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#options.signal);
      const newline = list.indexOf(NEWLINE, at);
      const end = newline === -1 ? list.length : newline + 1;
      const [oid = ''] = ID.exec(list.toString('latin1', at, Math.min(end, at + OID_DIGITS.sha256))) ?? [];
      const bit = this.#bitOf(oid);
      if (bit === undefined) others.push(list.subarray(at, end));
      else setBit(this.#bits, bit);
      at = end;
    }
    return others;
  }

  /**
   * Adds tags at chosen objects, as git does for clients that want them.
   *
   * @throws {FallBackToGit} for such a tag that is not in the packs; as {@link addAll}.
   */
  async addTags(tags: Iterable<NamedTag>): Promise<void> {
    for (const tag of tags) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#options.signal);
      const { oid, peeledOid } = tag;
      if (this.#isChosen(oid)) continue;
      if (peeledOid === undefined || this.#mayBeChosen(peeledOid)) await this.#addTag(tag);
    }
  }

  /**
   * Removes the objects of some types, but for wanted ones and the targets of wanted tags.
   *
   * @throws {FallBackToGit} when the bitmaps are damaged.
   */
  dropTypes(types: readonly ObjectType[]): void {
    for (const type of types) this.#bitmap.dropType(type, this.#bits);
    for (const oid of this.#named) {
      const bit = this.#bitOf(oid);
      if (bit !== undefined) setBit(this.#bits, bit);
    }
  }

  /**
   * Adds a tag, and the tags that it leads to, if the final target is chosen: one of these tags may
   * be, because it is wanted by its id, although the client has the target.
   */
  async #addTag({ oid: tag, peeledOid }: NamedTag): Promise<void> {
    const chain: string[] = [];
    let oid = tag;
    while (oid !== peeledOid) {
      const { data, type } = await this.#read(oid);
      if (type !== 'tag') break;
      chain.push(oid);
      oid = targetOf(oid, data);
    }
    if (!this.#isChosen(oid)) return;
    for (const each of chain) {
      const bit = this.#bitOf(each);
      if (bit === undefined) throw NEW_TAG;
      setBit(this.#bits, bit);
    }
  }

  /** Adds an object and the objects in its bitmap; returns further objects to add. */
  async #add(oid: string): Promise<readonly string[]> {
    if (await this.#addReached(oid)) return [];
    const bit = this.#bitOf(oid);
    const { type, data } = await this.#read(oid);
    if (bit === undefined) {
      if (type === 'commit') return this.#nodeOf(oid, data).parents;
      return type === 'tag' ? [targetOf(oid, data)] : unusual();
    }
    if (type === 'commit') {
      this.#unmarked.add(oid);
      return [];
    }
    if (type === 'tree') unusual();
    setBit(this.#bits, bit);
    return type === 'tag' ? [targetOf(oid, data)] : [];
  }

  /** Adds the objects that a commit reaches, if it has a bitmap. @returns false if it has none. */
  async #addReached(oid: string): Promise<boolean> {
    const bit = this.#bitOf(oid);
    const index = bit === undefined ? undefined : this.#packs.indexOf(Buffer.from(oid, 'hex'));
    if (bit === undefined || index === undefined) return false;
    if (!this.#bitmap.has(index)) return this.#addRecent([oid]);
    this.#bases.push(oid);
    const pause = (): Promise<void> => this.#slice.pause(this.#options.signal);
    const [bits, scratch] = [this.#bits, this.#scratch];
    if (!hasBit(bits, bit)) await this.#bitmap.addReached(index, { bits, scratch }, pause);
    return true;
  }

  /** Follows the parents of commits outside the bitmaps, after all wanted bitmaps are added. */
  async #addUnmarked(): Promise<void> {
    const wanted = new Set(this.#unmarked);
    const isInside = this.#tips.size === 0;
    const maxCompared = this.#options.isNear ? MAX_COMPARED_NEAR : MAX_COMPARED;
    const nodes: CommitNode[] = [];
    for (const oid of this.#unmarked) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#options.signal);
      if (this.#isChosen(oid)) this.#bases.push(oid);
      else if (!(await this.#addReached(oid))) {
        if (wanted.has(oid)) this.#tips.add(oid);
        const node = this.#nodeOf(oid, (await this.#read(oid)).data);
        nodes.push(node);
        if (this.#options.isNear && nodes.length > maxCompared) throw FAR;
        for (const parent of node.parents) this.#unmarked.add(parent);
      }
    }
    if (!isInside || nodes.length > maxCompared) return;
    const trees = new Map(nodes.map(({ oid, treeOid }) => [oid, treeOid]));
    // Parents come first, so that all that they need is chosen.
    for (const node of childrenFirst(nodes).reverse()) {
      const [parent] = node.parents;
      const before =
        parent && (trees.get(parent) ?? this.#nodeOf(parent, (await this.#read(parent)).data).treeOid);
      await this.#addContents(node, before);
    }
    this.#tips.clear();
  }

  /**
   * Adds a commit with its directories and files. All that a chosen directory has is chosen.
   *
   * @param before Directory of a parent, which is chosen.
   */
  async #addContents({ oid, treeOid }: CommitNode, before: string | undefined): Promise<void> {
    const { leftOut, signal } = this.#options;
    setBit(this.#bits, this.#bitOf(oid) ?? unusual());
    if (leftOut.includes('tree')) return;
    const waiting: { readonly tree: string; readonly before: string | undefined }[] = [];
    waiting.push({ tree: treeOid, before });
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(signal);
      if (!this.#choose(Buffer.from(place.tree, 'hex'))) continue;
      const entries = await this.#entriesOf(place.tree);
      const others = place.before === undefined ? undefined : await this.#entriesOf(place.before);
      for (const { cursor } = entries; !entries.isAtEnd; entries.next()) {
        if (entries.mode === SUBMODULE) continue;
        const other = others && entryOfName(others, entries);
        if (other !== undefined && areEqual(other, entries)) continue;
        if (entries.isTree) waiting.push({ tree: cursor.oid(), before: other?.cursor.oid() });
        else if (!leftOut.includes('blob')) this.#choose(Buffer.from(cursor.oid(), 'hex'));
      }
    }
  }

  async #entriesOf(tree: string): Promise<TreeEntries> {
    const { data, type } = await this.#read(tree);
    return type === 'tree' ? new TreeEntries(data, this.#options.oidBytes) : unusual();
  }

  /** Chooses an object by its binary id; reports whether it was not chosen before. */
  #choose(name: Buffer): boolean {
    const bit = this.#packs.bitOf(name, this.#order) ?? unusual();
    const isNew = !hasBit(this.#bits, bit);
    if (isNew) setBit(this.#bits, bit);
    return isNew;
  }

  #nodeOf(oid: string, commit: Buffer): CommitNode {
    if (++this.#walked > MAX_WALKED) throw MANY;
    return parseNode(oid, commit) ?? unusual();
  }

  #isChosen(oid: string): boolean {
    const bit = this.#bitOf(oid);
    return bit === undefined ? this.#tips.has(oid) : hasBit(this.#bits, bit);
  }

  /** True also for objects beyond the packs, which were not counted. */
  #mayBeChosen(oid: string): boolean {
    const bit = this.#bitOf(oid);
    return bit === undefined || hasBit(this.#bits, bit);
  }

  #bitOf(oid: string): number | undefined {
    return this.#packs.bitOf(Buffer.from(oid, 'hex'), this.#order);
  }

  async #read(oid: string) {
    const { objects, signal } = this.#options;
    return await objects.readInProcess(oid, { signal });
  }
}

/** Moves to the entry with the name and kind of another one; `undefined` if there is none. */
function entryOfName(entries: TreeEntries, wanted: TreeEntries): TreeEntries | undefined {
  let order = orderOf(entries, wanted);
  for (; order < 0; order = orderOf(entries, wanted)) entries.next();
  return order === 0 ? entries : undefined;
}

function targetOf(oid: string, tag: Buffer): string {
  return tagTarget(oid, tag) ?? unusual();
}

function unusual(): never {
  throw UNUSUAL;
}
