import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { abortError } from '../command/process/exit-error.ts';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import { OID_BYTES, type OidBytes } from '../names/object-id.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';
import type { GitRepository } from '../repository.ts';
import { DirectoriesAbove } from '../trees/directories-above.ts';
import type { CommitNode } from './graph/commit-node.ts';
import type { CommitNodes } from './graph/commit-nodes.ts';
import { DateQueue } from './graph/date-queue.ts';
import { type Grafts, readGrafts } from './graph/grafts.ts';
import { oldCommits } from './old-commits.ts';

/** Entries of one directory of a commit. */
export interface LastCommitsQuery {
  readonly commit: string;
  /** Path of the directory without a trailing slash; empty for the root. */
  readonly directory: Buffer;
  readonly names: readonly Buffer[];
  /** Number of commits after which git continues the search. Default 256. */
  readonly maxCommits?: number;
}

/** Number of commits whose trees are read in one request. */
const READ_AHEAD = 31;
/**
 * Limit of the walk: the last commits of most entries are recent. For the rest git is faster, and
 * does not use our event loop.
 */
const MAX_COMMITS = 256;

/**
 * Returns the newest commit that changed each entry of a directory, by name (as latin1 text, one
 * character per byte): the one that `git log -1` finds for each path. Missing names are omitted.
 *
 * The history of an entry is a single line: from a commit to its first parent that has the same
 * entry, up to the commit that differs from all its parents. So the walk follows all entries at
 * once, and skips side branches that changed nothing. git searches for the commits of older
 * entries, starting where the walk has ended.
 *
 * @throws {GitalyError} without a code, or {GitExitError}, `exit status 128`, when a commit or a
 *   tree is missing; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export async function lastCommits(
  repository: GitRepository,
  { commit, directory, names, maxCommits = MAX_COMMITS }: LastCommitsQuery,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Map<string, string>> {
  const objects = repository.objects;
  const oidBytes = OID_BYTES[repository.objectFormat];
  const nodes = repository.commits;
  const wantedNames = new Set(names.map((name) => name.toString('latin1')));
  const history = new History(nodes, objects, { directory, oidBytes, names: wantedNames });
  const wanted = await history.startingTree(commit);
  const prefix = directory.length === 0 ? '' : `${directory.toString('latin1')}/`;
  const found = new Map<string, string>();
  /** Pending entries, by the commit that they have reached. */
  const waiting = new Map<string, Set<string>>([[commit, new Set(wanted.keys())]]);
  const queue = new DateQueue<string>();
  queue.push(commit, 0);
  /** Moves the entries of a commit to its parents; returns those whose commit was found. */
  const step = async (oid: string, here: Set<string>): Promise<Set<string>> => {
    takeKnown(nodes.lastChangesAt(oid), prefix, here, found);
    const node = await history.node(oid);
    for (const parentOid of history.parents(node)) {
      if (here.size === 0) break;
      const parent = await history.node(parentOid);
      const same = await history.sameEntries(node, parent, here, wanted);
      if (same.length === 0) continue;
      const others = waiting.get(parentOid) ?? new Set();
      for (const name of same) {
        others.add(name);
        here.delete(name);
      }
      if (!waiting.has(parentOid)) queue.push(parentOid, parent.seconds ?? 0);
      waiting.set(parentOid, others);
    }
    return here;
  };
  const walk = async (): Promise<void> => {
    history.grafts = readGrafts(repository);
    for (let walked = 0; walked < maxCommits; walked++) {
      const oid = queue.pop();
      if (oid === undefined) return;
      // A commit that cannot be read here (it may be too big) is where git continues.
      const ended = await step(oid, waiting.get(oid) ?? new Set()).catch(fallBackOnFailure);
      // The reads do not depend on the signal: that would cost more than they do.
      if (signal?.aborted === true) throw abortError(signal);
      waiting.delete(oid);
      for (const name of ended) found.set(name, oid);
    }
    if (waiting.size > 0) throw new FallBackToGit('the last change of an entry is long ago');
  };
  await repository.inProcess.attempt('last_commits', walk, () => undefined); // git gets what is left

  await askGit(repository, directory, { waiting, found, signal });
  nodes.addLastChanges(
    commit,
    found.entries().map(([name, oid]) => [prefix + name, oid]),
  );
  return found;
}

/** Moves the names whose change was found before from `here` to `found`. */
function takeKnown(
  known: ReadonlyMap<string, string> | undefined,
  prefix: string,
  here: Set<string>,
  found: Map<string, string>,
): void {
  if (known === undefined) return;
  for (const name of here) {
    const oid = known.get(prefix + name);
    if (oid === undefined) continue;
    found.set(name, oid);
    here.delete(name);
  }
}

/** Finds the commits of the waiting entries by git. */
async function askGit(
  repository: GitRepository,
  directory: Buffer,
  {
    waiting,
    found,
    signal,
  }: {
    readonly waiting: ReadonlyMap<string, ReadonlySet<string>>;
    readonly found: Map<string, string>;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const prefix = directory.length === 0 ? directory : Buffer.concat([directory, SLASH]);
  const old = [...waiting].flatMap(([start, left]) =>
    [...left].map((name) => ({ start, path: pathOf(prefix, name) })),
  );
  for await (const { path, oid } of oldCommits(repository, old, { signal })) {
    found.set(path.toString('latin1', prefix.length), oid);
  }
}

function pathOf(prefix: Buffer, name: string): Buffer {
  return Buffer.concat([prefix, Buffer.from(name, 'latin1')]);
}

/** The wanted entries of a directory in a commit: mode and id by name. A missing directory is empty. */
type Directory = ReadonlyMap<string, string>;

interface HistoryOptions {
  readonly directory: Buffer;
  readonly oidBytes: OidBytes;
  /** Names of the wanted entries, one character per byte. */
  readonly names: ReadonlySet<string>;
}

/** Limit of cached directories; a walk needs few at a time. */
const MAX_TREES = 256;
const COLON = Buffer.from(':');
const SLASH = Buffer.from('/');

const NO_ENTRIES: Directory = new Map();

/** Commits and one directory of each, read in groups. */
class History {
  grafts: Grafts = new Map();
  readonly #nodes: CommitNodes;
  readonly #objects: ObjectReader;
  readonly #options: HistoryOptions;
  /** Directories by the requested revision. */
  readonly #trees = new BoundedMap<string, Promise<Directory>>({ maxEntries: MAX_TREES, order: 'insertion' });
  #latest: { readonly oid: string; readonly directory: Promise<Directory> } | undefined;

  constructor(nodes: CommitNodes, objects: ObjectReader, options: HistoryOptions) {
    this.#nodes = nodes;
    this.#objects = objects;
    this.#options = options;
  }

  async node(oid: string): Promise<CommitNode> {
    return this.#nodes.known(oid) ?? (await this.#nodes.read(oid, READ_AHEAD)) ?? missing();
  }

  /** Returns the directory at a commit that may be too big for {@link node}. */
  async startingTree(commit: string): Promise<Directory> {
    const { directory } = this.#options;
    const tree = directory.length === 0 ? '^{tree}' : ':';
    return await this.#readTree(Buffer.concat([Buffer.from(commit + tree), directory]));
  }

  parents(node: CommitNode): readonly string[] {
    return this.grafts.get(node.oid) ?? node.parents;
  }

  /** Returns the names whose entry, known at the child, is the same at the parent. */
  async sameEntries(
    child: CommitNode,
    parent: CommitNode,
    names: ReadonlySet<string>,
    wanted: ReadonlyMap<string, string>,
  ): Promise<string[]> {
    if (child.treeOid === parent.treeOid) return [...names];
    const entries = await this.tree(parent);
    return [...names].filter((name) => entries.get(name) === wanted.get(name));
  }

  /**
   * Returns the directory at a commit. Those of the next known commits in line are requested at the
   * same time.
   */
  async tree(node: CommitNode): Promise<Directory> {
    const known = this.#trees.get(this.#key(node));
    if (known !== undefined) return await known;
    const tree = this.#ask(node);
    let [behind] = this.parents(node);
    for (let ahead = 0; ahead < READ_AHEAD && behind !== undefined; ahead++) {
      const next = this.#nodes.known(behind);
      if (next === undefined) break;
      if (!this.#trees.has(this.#key(next))) void this.#ask(next);
      [behind] = this.parents(next);
    }
    return await tree;
  }

  #key({ oid, treeOid }: CommitNode): string {
    return this.#options.directory.length === 0 ? treeOid : oid;
  }

  #ask(node: CommitNode): Promise<Directory> {
    const key = this.#key(node);
    const tree = this.#read(node, key);
    // It may fail long before it is awaited, or without ever being awaited.
    tree.catch(() => {});
    this.#trees.set(key, tree);
    return tree;
  }

  async #read({ treeOid }: CommitNode, key: string): Promise<Directory> {
    const { directory } = this.#options;
    if (directory.length === 0) return await this.#readTree(treeOid);
    const found = await this.#readTree(Buffer.concat([Buffer.from(key), COLON, directory]));
    if (found === NO_ENTRIES) await this.#requireTreesAbove(treeOid);
    return found;
  }

  /** Throws as git does if a tree on the way to the directory is missing. */
  async #requireTreesAbove(treeOid: string): Promise<void> {
    const path = Buffer.concat([this.#options.directory, SLASH]);
    const trees = new DirectoriesAbove(this.#objects, Buffer.from(treeOid)).of(path);
    const last = (await Array.fromAsync(trees)).at(-1) ?? missing();
    const rest = path.subarray(last.path.length === 0 ? 0 : last.path.length + 1);
    const entry = await last.find(rest.subarray(0, rest.indexOf(SLASH)));
    if (entry !== undefined && kindOf(entry.mode) === 'tree') missing();
  }

  async #readTree(revision: string | Buffer): Promise<Directory> {
    const { directory } = this.#options;
    const object = await this.#objects.readObject(revision);
    if (object === undefined && directory.length === 0) return missing();
    if (object?.type !== 'tree') return NO_ENTRIES;
    // Most commits do not change a directory.
    if (this.#latest?.oid !== object.oid)
      this.#latest = { oid: object.oid, directory: this.#parse(object.data) };
    return await this.#latest.directory;
  }

  /** Finds the wanted entries in slices of the event loop: a directory may have a million. */
  async #parse(data: Buffer): Promise<Directory> {
    const { names, oidBytes } = this.#options;
    const found = new Map<string, string>();
    const cursor = new TreeCursor(data, oidBytes);
    const slice = new LoopSlice();
    while (cursor.next()) {
      const name = data.toString('latin1', cursor.nameAt, cursor.nameEnd);
      if (names.has(name)) found.set(name, `${canonicalMode(cursor.mode)} ${cursor.oid()}`);
      if (slice.isOverAfterItem()) await slice.pause();
    }
    return found;
  }
}

/** Throws git's error for a history that it cannot walk. */
function missing(): never {
  throw new GitalyError('UNKNOWN', 'exit status 128');
}
