import type { LoopSlice } from '#base/async/loop-turns';
import { SUBMODULE } from '#base/file-mode';
import { BoundedMap } from '#base/memory/bounded-map';
import { BriefMemory } from '#base/memory/brief-memory';
import { FallBackToGit } from '../command/in-process.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import { parseNode } from '../history/graph/commit-nodes.ts';
import type { OidBytes } from '../names/object-id.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { areEqual, orderOf, TreeEntries } from '../trees/tree-entries.ts';
import type { BitmappedPacks, LoadedBitmaps } from './bitmapped-packs.ts';

export interface PackedCommitsOptions {
  readonly packs: BitmappedPacks;
  readonly loaded: LoadedBitmaps;
  readonly objects: ObjectReader;
  readonly oidBytes: OidBytes;
  readonly slice: LoopSlice;
  readonly signal: AbortSignal;
}

/** Where an object is among the packs. */
interface Place {
  readonly bit: number;
  /** Position of its bitmap, if it has one. */
  readonly bitmapAt: number | undefined;
}

/** A commit, and the bits of itself and of what its first parent does not have at the same path. */
interface Additions {
  readonly node: CommitNode;
  readonly bits: Uint32Array;
}

/** Findings about the objects of some packs. */
interface Findings {
  readonly places: BoundedMap<string, Place>;
  readonly additions: BoundedMap<string, Additions>;
}

/** Bytes of directories that are read for one request: less than half of what git takes for it. */
const MAX_READ_BYTES = 8 << 20;
/** Reading a small directory takes as long as a larger one. */
const MIN_TREE_BYTES = 4 << 10;
/** Objects of one commit. */
const MAX_OBJECTS = 10_000;

/** Commits, and tags with their targets. */
const MAX_PLACES = 8192;
const PLACE_BYTES = 200;
const MAX_ADDITIONS_BYTES = 2 << 20;
const COMMIT_BYTES = 700;
const FINDINGS_BYTES = MAX_PLACES * PLACE_BYTES + MAX_ADDITIONS_BYTES;

/** Findings by the packs: the next client wants and has commits near those of this one. */
const recent = new BriefMemory<Findings>({
  maxBytes: 6 * FINDINGS_BYTES,
  maxValueBytes: FINDINGS_BYTES,
  maxAgeMs: 600_000,
  sizeOf: () => FINDINGS_BYTES,
});

const MANY = new FallBackToGit('a commit has many new objects');
const UNUSUAL = new FallBackToGit('an object is unusual');

/**
 * The commits of packs, and what each adds to its first parent. That of several commits, and what
 * the oldest of them lead to, is all that they need.
 */
export class PackedCommits {
  readonly #options: PackedCommitsOptions;
  readonly #findings: Findings;
  #readBytes = 0;

  constructor(options: PackedCommitsOptions) {
    this.#options = options;
    this.#findings = findingsOf(options.packs);
  }

  /** Returns where an object is, by its id; `undefined` if it is not there. @throws {FallBackToGit} */
  placeOf(oid: string): Place | undefined {
    const known = this.#findings.places.get(oid);
    if (known !== undefined) return known;
    const { loaded, packs } = this.#options;
    const name = Buffer.from(oid, 'hex');
    const bit = packs.bitOf(name, loaded.order);
    if (bit === undefined) return undefined;
    const index = packs.indexOf(name);
    const hasBitmap = index !== undefined && loaded.bitmap.has(index);
    const place = { bit, bitmapAt: hasBitmap ? index : undefined };
    this.#findings.places.set(oid, place);
    return place;
  }

  /** Returns a commit of the packs. @throws {FallBackToGit}; the system's error. */
  async nodeOf(oid: string): Promise<CommitNode> {
    const known = this.#findings.additions.get(oid);
    return known?.node ?? parseNode(oid, (await this.#read(oid)).data) ?? unusual();
  }

  /**
   * Returns the bits of what a commit adds.
   *
   * @returns `undefined` if enough was compared for this request: the next one continues.
   * @throws {FallBackToGit} for what only git knows; the system's error; {GitalyError} of an abort.
   */
  async additionsOf(node: CommitNode): Promise<Uint32Array | undefined> {
    const known = this.#findings.additions.get(node.oid);
    if (known !== undefined) return known.bits;
    return this.#readBytes > MAX_READ_BYTES ? undefined : await this.#compare(node);
  }

  /** Compares a commit with its first parent. */
  async #compare(node: CommitNode): Promise<Uint32Array> {
    const [parent] = node.parents;
    const before = parent === undefined ? undefined : (await this.nodeOf(parent)).treeOid;
    const bits = [this.#bitOf(Buffer.from(node.oid, 'hex'))];
    const waiting: { readonly tree: string; readonly before: string | undefined }[] = [];
    if (node.treeOid !== before) waiting.push({ tree: node.treeOid, before });
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      const { slice, signal } = this.#options;
      if (slice.isOverAfterItem()) await slice.pause(signal);
      bits.push(this.#bitOf(Buffer.from(place.tree, 'hex')));
      const entries = await this.#entriesOf(place.tree);
      const others = place.before === undefined ? undefined : await this.#entriesOf(place.before);
      for (const { cursor } = entries; !entries.isAtEnd; entries.next()) {
        if (entries.mode === SUBMODULE) continue;
        const other = others && entryOfName(others, entries);
        if (other !== undefined && areEqual(other, entries)) continue;
        if (entries.isTree) waiting.push({ tree: cursor.oid(), before: other?.cursor.oid() });
        else bits.push(this.#bitOf(Buffer.from(cursor.oid(), 'hex')));
      }
      if (bits.length + waiting.length > MAX_OBJECTS) throw MANY;
    }
    const additions = { node, bits: Uint32Array.from(bits) };
    this.#findings.additions.set(node.oid, additions);
    return additions.bits;
  }

  #bitOf(name: Buffer): number {
    return this.#options.packs.bitOf(name, this.#options.loaded.order) ?? unusual();
  }

  async #entriesOf(tree: string): Promise<TreeEntries> {
    const { data, type } = await this.#read(tree);
    this.#readBytes += Math.max(MIN_TREE_BYTES, data.length);
    return type === 'tree' ? new TreeEntries(data, this.#options.oidBytes) : unusual();
  }

  async #read(oid: string) {
    const { objects, signal } = this.#options;
    return await objects.readInProcess(oid, { signal });
  }
}

function findingsOf({ key }: BitmappedPacks): Findings {
  const known = recent.get(key);
  if (known !== undefined) return known;
  const findings = {
    places: new BoundedMap<string, Place>({ maxEntries: MAX_PLACES, order: 'insertion' }),
    additions: new BoundedMap<string, Additions>({
      maxEntries: MAX_ADDITIONS_BYTES / COMMIT_BYTES,
      maxWeight: MAX_ADDITIONS_BYTES,
      weigh: ({ bits }) => COMMIT_BYTES + bits.byteLength,
    }),
  };
  recent.set(key, findings);
  return findings;
}

/** Moves to the entry with the name and kind of another one; `undefined` if there is none. */
function entryOfName(entries: TreeEntries, wanted: TreeEntries): TreeEntries | undefined {
  let order = orderOf(entries, wanted);
  for (; order < 0; order = orderOf(entries, wanted)) entries.next();
  return order === 0 ? entries : undefined;
}

function unusual(): never {
  throw UNUSUAL;
}
