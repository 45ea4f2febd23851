import { oidAt } from '#git/names/object-id';
import type { CommitNode } from './commit-node.ts';
import { hasNone, type PathFilters, type PathKey } from './path-filters.ts';

/**
 * The commits of one commit-graph file, as unchanged parts of the file. @see
 * gitformat-commit-graph(5)
 */
export interface GraphLayer {
  /** Number of commits in the layers below: the position of this layer's first commit. */
  readonly base: number;
  readonly count: number;
  /** Chunk OIDF: number of ids that begin with this byte or a smaller one. */
  readonly fanOut: Buffer;
  /** Chunk OIDL: the ids in order. */
  readonly names: Buffer;
  /** Chunk CDAT. */
  readonly commits: Buffer;
  /**
   * Chunk EDGE: the second and further parents of commits with more than two; empty if there are
   * none.
   */
  readonly edges: Buffer;
  readonly filters: PathFilters | undefined;
}

/** Returns the size of a layer in memory. */
export function layerBytes({ fanOut, names, commits, edges, filters }: GraphLayer): number {
  const parts = [fanOut, names, commits, edges, ...(filters ? [filters.ends, filters.data] : [])];
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** Returns the size of an entry: tree (an id), two parents, generation and date. */
export function commitBytes(oidBytes: number): number {
  return oidBytes + 16;
}

const NO_PARENT = 0x70000000;
/**
 * In a second parent: the rest is a position in the list of edges. In an edge: it is the last one.
 */
const HIGH_BIT = 0x80000000;
/** Maximum generation. */
export const MAX_GENERATION = 0x3fffffff;

/**
 * The shape of a history as git stores it in a file next to the objects: commits have positions
 * (numbers below {@link size}) and their parents' positions. All ancestors of a commit in the graph
 * are in the graph. Values out of bounds in a damaged file are `undefined`.
 */
export class CommitGraph {
  readonly size: number;
  /** Size in memory. */
  readonly byteLength: number;
  /** True if there are filters of paths for some commits. */
  readonly hasFilters: boolean;
  /** Layers, the lowest first. */
  readonly #layers: readonly GraphLayer[];
  readonly #oidBytes: number;

  constructor(layers: readonly GraphLayer[], oidBytes: number) {
    this.#layers = layers;
    this.#oidBytes = oidBytes;
    this.size = layers.reduce((sum, { count }) => sum + count, 0);
    this.hasFilters = layers.some(({ filters }) => filters !== undefined);
    this.byteLength = layers.reduce((sum, layer) => sum + layerBytes(layer), 0);
  }

  /**
   * Returns the position; `undefined` if the commit is not in the graph. The repository may have it
   * nevertheless.
   */
  positionOf(oid: string): number | undefined {
    if (oid.length !== 2 * this.#oidBytes) return undefined;
    const first = Number.parseInt(oid.slice(0, 8), 16);
    for (const layer of this.#layers) {
      const place = this.#placeIn(layer, oid, first);
      if (place !== undefined) return layer.base + place;
    }
    return undefined;
  }

  oidAt(position: number): string | undefined {
    const layer = this.#layerOf(position);
    return layer && oidAt(layer.names, (position - layer.base) * this.#oidBytes, this.#oidBytes);
  }

  nodeAt(position: number): CommitNode | undefined {
    const oid = this.oidAt(position);
    const layer = this.#layerOf(position);
    const parents = this.parentsOf(position)?.map((parent) => this.oidAt(parent));
    if (oid === undefined || layer === undefined || parents === undefined) return undefined;
    const known = parents.filter((parent) => parent !== undefined);
    if (known.length < parents.length) return undefined;
    const treeOid = oidAt(layer.commits, this.#recordAt(layer, position), this.#oidBytes);
    return { oid, treeOid, parents: known, seconds: this.secondsAt(position) };
  }

  parentsOf(position: number): number[] | undefined {
    const layer = this.#layerOf(position);
    if (layer === undefined) return undefined;
    const at = this.#recordAt(layer, position) + this.#oidBytes;
    const first = layer.commits.readUInt32BE(at);
    if (first === NO_PARENT) return [];
    const second = layer.commits.readUInt32BE(at + 4);
    if (second === NO_PARENT) return [first];
    if (second < HIGH_BIT) return [first, second];
    const parents = [first];
    for (let edge = (second - HIGH_BIT) * 4; edge + 4 <= layer.edges.length; edge += 4) {
      const parent = layer.edges.readUInt32BE(edge);
      if (parent >= HIGH_BIT) return [...parents, parent - HIGH_BIT];
      parents.push(parent);
    }
    return undefined;
  }

  /**
   * Reports whether a commit may be reachable from another one: each has a higher generation than
   * those it reaches.
   */
  mayReach(from: number, to: number): boolean {
    const [above, below] = [this.generationAt(from), this.generationAt(to)];
    // Zero is written by old gits that do not compute it.
    return from === to || above === 0 || below === 0 || above > below || above === MAX_GENERATION;
  }

  /** Returns a number above those of all parents; 0 or {@link MAX_GENERATION} if it is not known. */
  generationAt(position: number): number {
    const layer = this.#layerOf(position);
    return layer === undefined
      ? 0
      : layer.commits.readUInt32BE(this.#recordAt(layer, position) + this.#oidBytes + 8) >>> 2;
  }

  /**
   * Reports whether a commit is known to differ from its first parent, or from nothing without
   * parents, in none of the paths.
   */
  changesNone(position: number, paths: readonly PathKey[][]): boolean {
    const layer = this.#layerOf(position);
    return layer?.filters !== undefined && hasNone(layer.filters, position - layer.base, paths);
  }

  /** Returns the committer date in seconds since 1970. */
  secondsAt(position: number): number {
    const layer = this.#layerOf(position);
    if (layer === undefined) return 0;
    const at = this.#recordAt(layer, position) + this.#oidBytes + 8;
    // 34 bits.
    return (layer.commits.readUInt32BE(at) & 3) * 2 ** 32 + layer.commits.readUInt32BE(at + 4);
  }

  #layerOf(position: number): GraphLayer | undefined {
    for (const layer of this.#layers) if (position < layer.base + layer.count) return layer;
    return undefined;
  }

  #recordAt({ base }: GraphLayer, position: number): number {
    return (position - base) * commitBytes(this.#oidBytes);
  }

  /** Finds an id by binary search with its first four bytes. */
  #placeIn({ count, fanOut, names }: GraphLayer, oid: string, first: number): number | undefined {
    const byte = first >>> 24;
    let low = byte === 0 ? 0 : fanOut.readUInt32BE((byte - 1) * 4);
    let high = Math.min(fanOut.readUInt32BE(byte * 4), count);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (names.readUInt32BE(middle * this.#oidBytes) < first) low = middle + 1;
      else high = middle;
    }
    for (; low < count && names.readUInt32BE(low * this.#oidBytes) === first; low++) {
      if (oidAt(names, low * this.#oidBytes, this.#oidBytes) === oid) return low;
    }
    return undefined;
  }
}
