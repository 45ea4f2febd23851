import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '../command/in-process.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import { parseNode } from '../history/graph/commit-nodes.ts';
import { OID_DIGITS, OID_SOURCE, type OidBytes } from '../names/object-id.ts';
import type { ObjectType } from '../names/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { tagTarget } from '../objects/parse/tag-target.ts';
import { TagChains } from '../objects/tag-chains.ts';
import { type BitmapFile, hasBit, setBit } from './bitmap-file.ts';
import type { BitmappedPacks, LoadedBitmaps } from './bitmapped-packs.ts';
import type { PackOrder } from './pack-order.ts';
import { PackedCommits } from './packed-commits.ts';

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
  /** Objects that are chosen from the beginning, with all that they need. */
  readonly known?: Uint32Array | undefined;
  readonly signal: AbortSignal;
}

/** Commits between wanted ones and those that have bitmaps: a busy day's, or 0.2 s. */
const MAX_WALKED = 10_000;
/**
 * Commits of the packs without a bitmap. git, too, compares those between two bitmaps of a pack.
 */
const MAX_UNMARKED = 512;
const NEWLINE = 0x0a;
const ID = new RegExp(`^${OID_SOURCE}`);

const NEW_TAG = new FallBackToGit('a tag is not in the packs');
const UNUSUAL = new FallBackToGit('an object is unusual');
const MANY = new FallBackToGit('many commits have no bitmap');
const FAR = new FallBackToGit('commits are far from bitmaps');
const NOT_YET = new FallBackToGit('commits were not compared yet');

/** Chooses objects of packs by their bitmaps, as git does for a clone. */
export class ObjectChoice {
  readonly #packs: BitmappedPacks;
  readonly #bitmap: BitmapFile;
  readonly #options: ChoiceOptions;
  readonly #slice: LoopSlice;
  readonly #commits: PackedCommits;
  readonly #order: PackOrder;
  readonly #chains: TagChains;
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
    loaded: LoadedBitmaps,
    slice: LoopSlice,
  ) {
    const { bitmap, order } = loaded;
    this.#packs = packs;
    this.#options = options;
    this.#bitmap = bitmap;
    this.#order = order;
    this.#slice = slice;
    const { objects, oidBytes, signal } = options;
    this.#commits = new PackedCommits({ packs, loaded, objects, oidBytes, slice, signal });
    this.#chains = new TagChains(objects, signal);
    this.#bits = options.known?.slice() ?? bitmap.noBits();
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
    const [bitmap, order] = [this.#bitmap, this.#order];
    return { bitmap, order, bits: this.#bits, tips: [...this.#tips], bases: this.#bases };
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
      const bit = this.#packs.bitOf(Buffer.from(oid, 'hex'), this.#order);
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
  async #addTag({ oid, peeledOid }: NamedTag): Promise<void> {
    const { end, tags } = await this.#chains.follow(oid, peeledOid);
    if (!this.#isChosen(end)) return;
    for (const each of tags) {
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
    const place = this.#commits.placeOf(oid);
    if (place?.bitmapAt === undefined) return false;
    this.#bases.push(oid);
    const pause = (): Promise<void> => this.#slice.pause(this.#options.signal);
    const [bits, scratch] = [this.#bits, this.#scratch];
    if (!hasBit(bits, place.bit)) await this.#bitmap.addReached(place.bitmapAt, { bits, scratch }, pause);
    return true;
  }

  /** Follows the parents of commits outside the bitmaps, after all wanted bitmaps are added. */
  async #addUnmarked(): Promise<void> {
    const wanted = new Set(this.#unmarked);
    const isInside = this.#tips.size === 0;
    const nodes: CommitNode[] = [];
    for (const oid of this.#unmarked) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#options.signal);
      if (this.#isChosen(oid)) this.#bases.push(oid);
      else if (!(await this.#addReached(oid))) {
        if (wanted.has(oid)) this.#tips.add(oid);
        const node = await this.#commits.nodeOf(oid);
        this.#countWalked();
        nodes.push(node);
        if (this.#options.isNear && nodes.length > MAX_UNMARKED) throw FAR;
        for (const parent of node.parents) this.#unmarked.add(parent);
      }
    }
    if (!isInside || nodes.length > MAX_UNMARKED) return;
    if (await this.#addNodes(nodes)) this.#tips.clear();
    else if (this.#options.isNear) throw NOT_YET;
  }

  /**
   * Adds commits with their directories and files, after what their parents have.
   *
   * @returns false if not all of them have been compared yet.
   */
  async #addNodes(nodes: readonly CommitNode[]): Promise<boolean> {
    if (this.#options.leftOut.includes('tree')) {
      for (const { oid } of nodes) setBit(this.#bits, this.#bitOf(oid) ?? unusual());
      return true;
    }
    for (const node of nodes) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#options.signal);
      const bits = await this.#commits.additionsOf(node);
      if (bits === undefined) return false;
      for (const bit of bits) setBit(this.#bits, bit);
    }
    return true;
  }

  #nodeOf(oid: string, commit: Buffer): CommitNode {
    this.#countWalked();
    return parseNode(oid, commit) ?? unusual();
  }

  #countWalked(): void {
    if (++this.#walked > MAX_WALKED) throw MANY;
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
    return this.#commits.placeOf(oid)?.bit;
  }

  async #read(oid: string) {
    const { objects, signal } = this.#options;
    return await objects.readInProcess(oid, { signal });
  }
}

function targetOf(oid: string, tag: Buffer): string {
  return tagTarget(oid, tag) ?? unusual();
}

function unusual(): never {
  throw UNUSUAL;
}
