import { statSync } from 'node:fs';
import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { OID_SOURCE } from '#git/names/object-id';
import type { RawObject } from '#git/names/object-info';
import type { ObjectReader } from '#git/objects/object-reader';
import type { ReadableRepository } from '#git/objects/readable-repository';
import { directoriesKey, type GitDirectory } from '#git/repository-files/git-directory';
import { stampOfRepository } from '#git/repository-files/repository-stamp';
import type { CommitGraph } from './commit-graph.ts';
import { CommitGraphCache } from './commit-graph-cache.ts';
import type { CommitNode } from './commit-node.ts';
import { LastChanges } from './last-changes.ts';

/** Limit of all repositories together; a commit takes some 300 bytes. */
const MAX_NODES = 40_000;
/** Limit of one repository. */
const MAX_NODES_EACH = 10_000;
/** Limit of repositories, including those without commits; an entry is some 300 bytes. */
const MAX_REPOSITORIES = 5_000;

/** The commits of one repository. */
interface Known {
  readonly key: string;
  /** Unique among all repositories, including earlier ones at the same path. */
  readonly number: number;
  /**
   * State of the repository when its commits were read: another repository at the same path may
   * lack some.
   */
  readonly stamp: string;
  readonly nodes: BoundedMap<string, CommitNode>;
  areGrafted: boolean;
  /** True if the repository was checked in this iteration of the event loop. */
  isFresh: boolean;
}

/** Recently walked commits, by repository (with its set of object directories). */
export class CommitNodeCache {
  readonly #repositories = new BoundedMap<string, Known>({
    maxEntries: MAX_REPOSITORIES,
    maxWeight: MAX_NODES,
    weigh: ({ nodes }) => nodes.size,
  });
  readonly #graphs = new CommitGraphCache();
  readonly #lastChanges = new LastChanges();

  /** Returns the commits of a repository. The result needs no closing. */
  of(repository: ReadableRepository): CommitNodes {
    const known = this.#known(repository);
    return new CommitNodes(repository.objects, {
      known: known.nodes,
      areGrafted: known.areGrafted,
      // git does not use it either if parents are grafted.
      graph: known.areGrafted ? undefined : this.#graphs.of(repository),
      remember: (node) => this.#remember(known, node),
      lastChanges: known.areGrafted ? undefined : { of: this.#lastChanges, number: known.number },
    });
  }

  #known(repository: GitDirectory): Known {
    const key = directoriesKey(repository);
    const kept = this.#repositories.get(key);
    if (kept?.isFresh === true) return kept;
    const stamp = stampOfRepository(repository);
    const known = kept?.stamp === stamp ? kept : newKnown(key, stamp);
    if (kept !== known) this.#repositories.set(key, known);
    known.areGrafted = isThere(`${repository.path}/shallow`) || isThere(`${repository.path}/info/grafts`);
    known.isFresh = true;
    setImmediate(() => {
      known.isFresh = false;
    });
    return known;
  }

  /** Reports whether the repository's commit-graph was found to be damaged. */
  hasDamagedGraph(repository: GitDirectory): boolean {
    return this.#graphs.hasDamage(repository);
  }

  forget(repository: GitDirectory): void {
    this.#graphs.forget(repository);
    for (const key of this.#repositories.keys()) {
      if (key.startsWith(`${repository.path}\0`)) this.#repositories.delete(key);
    }
  }

  #remember(known: Known, node: CommitNode): void {
    if (known.nodes.has(node.oid)) return;
    known.nodes.set(node.oid, node);
    // A walk may still use a dropped entry, which no longer counts. Setting it updates the weight.
    if (this.#repositories.peek(known.key) === known) this.#repositories.set(known.key, known);
  }
}

/** Number of commits that are read ahead after a missing one, in one request to git. */
const READ_AHEAD = 7;
/** Limit of a commit's size; longer ones are left to git. */
const MAX_COMMIT_BYTES = 1024 * 1024;

let lastNumber = 0;

function newKnown(key: string, stamp: string): Known {
  const nodes = new BoundedMap<string, CommitNode>({ maxEntries: MAX_NODES_EACH, order: 'insertion' });
  return { key, number: lastNumber++, stamp, nodes, areGrafted: false, isFresh: false };
}

function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** Commits that are read ahead may be missing or broken. */
function ignoreFallBack(error: unknown): undefined {
  if (!(error instanceof FallBackToGit)) throw error;
}

/**
 * Returns commits whose parents are those that they name. @throws {FallBackToGit} where grafts or a
 * shallow clone may change them.
 */
export function requireNotGrafted(nodes: CommitNodes): CommitNodes {
  if (nodes.areGrafted) throw new FallBackToGit('history is grafted or shallow');
  return nodes;
}

/** Storage of {@link CommitNodes}. */
interface Memory {
  readonly areGrafted: boolean;
  readonly graph: CommitGraph | undefined;
  readonly known: BoundedMap<string, CommitNode>;
  readonly remember: (node: CommitNode) => void;
  readonly lastChanges: { readonly of: LastChanges; readonly number: number } | undefined;
}

/** Where commits are read. */
export type CommitSource = Pick<CommitNodes, 'graph' | 'known' | 'read'>;

/**
 * The commits of one repository, read through the shared process and cached: they never change.
 */
export class CommitNodes {
  readonly #objects: ObjectReader;
  readonly #memory: Memory;

  constructor(objects: ObjectReader, memory: Memory) {
    this.#objects = objects;
    this.#memory = memory;
  }

  /**
   * True if some of the repository's commits have grafted parents: then only git can walk them.
   */
  get areGrafted(): boolean {
    return this.#memory.areGrafted;
  }

  /**
   * The part of the history that git stores in a file; `undefined` if there is none, or it was not
   * read yet.
   */
  get graph(): CommitGraph | undefined {
    return this.#memory.graph;
  }

  /** Returns the commits that changed paths, by path, as searches from a commit have found them. */
  lastChangesAt(oid: string): ReadonlyMap<string, string> | undefined {
    const { lastChanges } = this.#memory;
    return lastChanges?.of.at(lastChanges.number, oid);
  }

  /** Stores the result of a search from a commit. */
  addLastChanges(oid: string, changes: Iterable<readonly [path: string, oid: string]>): void {
    const { lastChanges } = this.#memory;
    lastChanges?.of.add(lastChanges.number, oid, changes);
  }

  /** Returns a commit that is cached or in the graph. */
  known(oid: string): CommitNode | undefined {
    const known = this.#memory.known.get(oid);
    if (known !== undefined || this.graph === undefined) return known;
    const position = this.graph.positionOf(oid);
    const node = position === undefined ? undefined : this.graph.nodeAt(position);
    if (node !== undefined) this.#memory.remember(node);
    return node;
  }

  /**
   * Reads a commit and `ahead` of its ancestors; `undefined` if there is no such commit.
   *
   * @throws {FallBackToGit} when the commit cannot be read, or is very large.
   */
  async read(oid: string, ahead = READ_AHEAD): Promise<CommitNode | undefined> {
    const first = this.#remember(await this.#readObject(oid));
    let next = first?.parents[0];
    for (let left = ahead; left > 0 && next !== undefined && this.known(next) === undefined; left--) {
      const object = await this.#readObject(next).catch(ignoreFallBack);
      next = this.#remember(object)?.parents[0];
    }
    return first;
  }

  async #readObject(revision: string): Promise<RawObject | undefined> {
    return await this.#objects.readObject(revision, { maxBytes: MAX_COMMIT_BYTES }).catch(fallBackOnFailure);
  }

  #remember(object: RawObject | undefined): CommitNode | undefined {
    const node = object?.type === 'commit' ? parseNode(object.oid, object.data) : undefined;
    if (node !== undefined) this.#memory.remember(node);
    return node;
  }
}

/**
 * Matches the tree and the parents with the text after them, because a list that is cut off may
 * have more parents.
 */
const SHAPE = new RegExp(`^tree (${OID_SOURCE})\n((?:parent ${OID_SOURCE}\n)*)(?=author )`);
const PEOPLE = /author [^\n]*\ncommitter [^\n>]*> (\d{1,10}) [-+]\d{4}\n/y;
/** Enough for hundreds of parents and for long names. */
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * Parses the headers that walks need; `undefined` for an object that git may not accept as a
 * commit, and for a commit with more than a thousand parents.
 */
export function parseNode(oid: string, data: Buffer): CommitNode | undefined {
  const text = data.toString('latin1', 0, MAX_HEADER_BYTES);
  const [shape, treeOid, parents] = SHAPE.exec(text) ?? [];
  if (shape === undefined || parents === undefined || treeOid?.length !== oid.length) return undefined;
  PEOPLE.lastIndex = shape.length;
  const [, seconds] = PEOPLE.exec(text) ?? [];
  const parentOids = parents === '' ? [] : parents.slice('parent '.length, -1).split('\nparent ');
  return { oid, treeOid, parents: parentOids, seconds: seconds === undefined ? undefined : Number(seconds) };
}
