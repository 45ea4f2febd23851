import { statSync } from 'node:fs';
import type { RawObject } from '../objects/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';
import { stampOf } from '../repository-stamp.ts';
import type { CommitGraph } from './commit-graph.ts';
import { CommitGraphCache } from './commit-graph-cache.ts';
import type { CommitNode } from './commit-node.ts';

/** All repositories together; a commit takes some 300 bytes. */
const MAX_NODES = 40_000;
/** One repository's share. */
const MAX_NODES_EACH = 10_000;

/** The commits of one repository. */
interface Known {
  readonly key: string;
  /** What the repository looked like when its commits were read: another one at the same place may lack some. */
  readonly stamp: string;
  /** In the order in which they were read. */
  readonly nodes: Map<string, CommitNode>;
  areGrafted: boolean;
  /** Whether the repository was looked at in this turn of the event loop. */
  isFresh: boolean;
}

/** Nodes of the commits that walks came across lately, by repository (with its set of object directories). */
export class CommitNodeCache {
  /** In order of use, the least recently used first. */
  readonly #repositories = new Map<string, Known>();
  readonly #graphs = new CommitGraphCache();
  #size = 0;

  /** The commits of a repository. Holds nothing that needs to be closed. */
  of(repository: GitRepository, objects: ObjectReader): CommitNodes {
    const known = this.#known(repository);
    return new CommitNodes(objects, {
      known: known.nodes,
      areGrafted: known.areGrafted,
      // git does not use it either where parents are other ones than commits say.
      graph: known.areGrafted ? undefined : this.#graphs.of(repository),
      remember: (node) => this.#remember(known, node),
    });
  }

  #known(repository: GitRepository): Known {
    const key = [repository.path, repository.objectDirectory, ...repository.alternateObjectDirectories].join('\0');
    const kept = this.#repositories.get(key);
    if (kept?.isFresh === true) return kept;
    const stamp = stampOf(repository);
    const known = kept?.stamp === stamp ? kept : newKnown(key, stamp);
    if (kept !== undefined && kept !== known) this.#drop(kept);
    // Last in the map is last used.
    this.#repositories.delete(key);
    this.#repositories.set(key, known);
    known.areGrafted = isThere(`${repository.path}/shallow`) || isThere(`${repository.path}/info/grafts`);
    known.isFresh = true;
    setImmediate(() => {
      known.isFresh = false;
    });
    return known;
  }

  forget(repository: GitRepository): void {
    this.#graphs.forget(repository);
    for (const known of this.#repositories.values()) {
      if (known.key.startsWith(`${repository.path}\0`)) this.#drop(known);
    }
  }

  #remember(known: Known, node: CommitNode): void {
    if (known.nodes.has(node.oid)) return;
    known.nodes.set(node.oid, node);
    // Dropped meanwhile: a walk still uses it, but it counts no more.
    if (this.#repositories.get(known.key) !== known) return;
    this.#size++;
    if (known.nodes.size > MAX_NODES_EACH) {
      const [oldest] = known.nodes.keys();
      if (oldest !== undefined && known.nodes.delete(oldest)) this.#size--;
    }
    for (const other of this.#repositories.values()) {
      if (this.#size <= MAX_NODES) return;
      this.#drop(other);
    }
  }

  #drop(known: Known): void {
    this.#repositories.delete(known.key);
    this.#size -= known.nodes.size;
  }
}

/** Commits in a line behind one that is missing which are read with it, in one trip to git. */
const READ_AHEAD = 7;
/** A commit that is longer is odd enough to leave it to git. */
const MAX_COMMIT_BYTES = 1024 * 1024;

function newKnown(key: string, stamp: string): Known {
  return { key, stamp, nodes: new Map(), areGrafted: false, isFresh: false };
}

function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** What {@link CommitNodes} keeps what it reads in. */
interface Memory {
  readonly areGrafted: boolean;
  readonly graph: CommitGraph | undefined;
  readonly known: ReadonlyMap<string, CommitNode>;
  readonly remember: (node: CommitNode) => void;
}

/** The commits of one repository, read through the shared process and remembered: they never change. */
export class CommitNodes {
  readonly #objects: ObjectReader;
  readonly #memory: Memory;

  constructor(objects: ObjectReader, memory: Memory) {
    this.#objects = objects;
    this.#memory = memory;
  }

  /** Whether some of the repository's commits have other parents than they say: then only git knows. */
  get areGrafted(): boolean {
    return this.#memory.areGrafted;
  }

  /** The part of the history that git keeps in a file; `undefined` where there is none, or it was not read yet. */
  get graph(): CommitGraph | undefined {
    return this.#memory.graph;
  }

  /** A commit that is known without asking git. */
  known(oid: string): CommitNode | undefined {
    const known = this.#memory.known.get(oid);
    if (known !== undefined || this.graph === undefined) return known;
    const position = this.graph.positionOf(oid);
    return position === undefined ? undefined : this.graph.nodeAt(position);
  }

  /**
   * Reads a commit and `ahead` of those behind it; `undefined` when there is no such commit.
   *
   * @throws what {@link ObjectReader.readObject} throws.
   */
  async read(oid: string, ahead = READ_AHEAD): Promise<CommitNode | undefined> {
    const read = (revision: string) => this.#objects.readObject(revision, { maxBytes: MAX_COMMIT_BYTES });
    const behind = Array.from({ length: ahead }, (_, index) => read(`${oid}~${index + 1}`).catch(() => undefined));
    const [first, ...others] = await Promise.all([read(oid), ...behind]);
    for (const object of others.toReversed()) this.#remember(object);
    return this.#remember(first);
  }

  #remember(object: RawObject | undefined): CommitNode | undefined {
    const node = object?.type === 'commit' ? parseNode(object.oid, object.data) : undefined;
    if (node !== undefined) this.#memory.remember(node);
    return node;
  }
}

const SHAPE = /^tree ([0-9a-f]{40}(?:[0-9a-f]{24})?)\n((?:parent [0-9a-f]{40}(?:[0-9a-f]{24})?\n)*)/;
const PEOPLE = /author [^\n]*\ncommitter [^\n>]*> (\d{1,10}) [-+]\d{4}\n/y;
/** Enough for hundreds of parents and for long names. */
const MAX_HEADER_BYTES = 64 * 1024;

/** Reads the headers that walks need; `undefined` for what is no commit to git either. */
export function parseNode(oid: string, data: Buffer): CommitNode | undefined {
  const text = data.toString('latin1', 0, MAX_HEADER_BYTES);
  const [shape, treeOid, parents] = SHAPE.exec(text) ?? [];
  if (shape === undefined || parents === undefined || treeOid?.length !== oid.length) return undefined;
  PEOPLE.lastIndex = shape.length;
  const [, seconds] = PEOPLE.exec(text) ?? [];
  const parentOids = parents === '' ? [] : parents.slice('parent '.length, -1).split('\nparent ');
  return { oid, treeOid, parents: parentOids, seconds: seconds === undefined ? undefined : Number(seconds) };
}
