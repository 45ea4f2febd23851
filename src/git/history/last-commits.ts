import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { abortError } from '../command/process/exit-error.ts';
import { kindOf } from '../names/entry-kind.ts';
import { OID_BYTES, type OidBytes } from '../names/object-id.ts';
import type { RawObject } from '../names/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';
import type { GitRepository } from '../repository.ts';
import { DirectoriesAbove } from '../trees/find-entry.ts';
import { areEqual, orderOf, TreeEntries } from '../trees/tree-entries.ts';
import type { CommitNode } from './graph/commit-node.ts';
import type { CommitNodes } from './graph/commit-nodes.ts';
import { DateQueue } from './graph/date-queue.ts';
import { type Grafts, readGrafts } from './graph/grafts.ts';
import { oldCommits } from './old-commits.ts';
import { recentCommits } from './recent-commits.ts';

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
 * Number of older entries that are searched for one by one: each takes some 5 ms of a long history,
 * where git needs 20 ms for all of them together.
 */
const MAX_OLD = 2;

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
  const wanted = await history.start(commit);
  const prefix = directory.length === 0 ? '' : `${directory.toString('latin1')}/`;
  const found = new Map<string, string>();
  /** Pending entries, by the commit that they have reached. */
  const waiting = new Map<string, Set<string>>([[commit, new Set(wanted)]]);
  const queue = new DateQueue<string>();
  queue.push(commit, 0);
  /** Moves the entries of a commit to its parents; returns those whose commit was found. */
  const step = async (oid: string, here: Set<string>): Promise<Set<string>> => {
    takeKnown(nodes.lastChangesAt(oid), prefix, here, found);
    const node = await history.node(oid);
    for (const parentOid of history.parents(node)) {
      if (here.size === 0) break;
      const parent = await history.node(parentOid);
      const same = await history.sameEntries(node, parent, here);
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
    await takeOld(repository, directory, { waiting, found, signal });
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

/** Progress of a search. */
interface Search {
  /** Pending names, by the commit that they have reached. */
  readonly waiting: Map<string, Set<string>>;
  readonly found: Map<string, string>;
  readonly signal: AbortSignal | undefined;
}

/** Moves the names of a few waiting entries to `found`, by the filters of the commit-graph. */
async function takeOld(
  repository: GitRepository,
  directory: Buffer,
  { waiting, found, signal }: Search,
): Promise<void> {
  const old = oldPaths(directory, waiting);
  if (old.length > MAX_OLD || repository.commits.graph?.hasFilters !== true) return;
  for (const { start, path, name } of old) {
    const selection = { revisions: [start], paths: [path], literalPathspecs: true };
    const query = { ...selection, skip: 0, maxCount: 1, firstParent: false };
    const [commit] = (await recentCommits(repository, query, { signal })) ?? [];
    if (commit === undefined) continue;
    found.set(name, commit.oid);
    waiting.get(start)?.delete(name);
    if (waiting.get(start)?.size === 0) waiting.delete(start);
  }
}

/** Finds the commits of the waiting entries by git. */
async function askGit(
  repository: GitRepository,
  directory: Buffer,
  { waiting, found, signal }: Search,
): Promise<void> {
  const old = oldPaths(directory, waiting);
  const names = new Map(old.map(({ path, name }) => [path.toString('latin1'), name]));
  for await (const { path, oid } of oldCommits(repository, old, { signal })) {
    const name = names.get(path.toString('latin1'));
    if (name !== undefined) found.set(name, oid);
  }
}

function oldPaths(
  directory: Buffer,
  waiting: ReadonlyMap<string, ReadonlySet<string>>,
): { readonly start: string; readonly path: Buffer; readonly name: string }[] {
  const prefix = directory.length === 0 ? directory : Buffer.concat([directory, SLASH]);
  return [...waiting].flatMap(([start, left]) =>
    [...left].map((name) => ({ start, path: pathOf(prefix, name), name })),
  );
}

function pathOf(prefix: Buffer, name: string): Buffer {
  return Buffer.concat([prefix, Buffer.from(name, 'latin1')]);
}

/** The names whose entry differs from the one at the start; `all` where there is no directory. */
type Changed = ReadonlySet<string> | 'all';

interface HistoryOptions {
  readonly directory: Buffer;
  readonly oidBytes: OidBytes;
  /** Names of the wanted entries, one character per byte. */
  readonly names: ReadonlySet<string>;
}

/** Limit of compared directories; a walk needs few at a time. */
const MAX_TREES = 256;
const COLON = Buffer.from(':');
const SLASH = Buffer.from('/');
const NO_ENTRIES = Buffer.alloc(0);

/** Commits and one directory of each, read in groups and compared with the one at the start. */
class History {
  grafts: Grafts = new Map();
  readonly #nodes: CommitNodes;
  readonly #objects: ObjectReader;
  readonly #options: HistoryOptions;
  /** The directory at the start. */
  #first: Buffer = NO_ENTRIES;
  /** Directories by the requested revision. */
  readonly #trees = new BoundedMap<string, Promise<Changed>>({ maxEntries: MAX_TREES, order: 'insertion' });
  #latest: { readonly oid: string; readonly changed: Promise<Changed> } | undefined;

  constructor(nodes: CommitNodes, objects: ObjectReader, options: HistoryOptions) {
    this.#nodes = nodes;
    this.#objects = objects;
    this.#options = options;
  }

  async node(oid: string): Promise<CommitNode> {
    return this.#nodes.known(oid) ?? (await this.#nodes.read(oid, READ_AHEAD)) ?? missing();
  }

  /** Reads the directory of the start, a commit that may be too big for {@link node}. @returns its wanted names. */
  async start(commit: string): Promise<readonly string[]> {
    const { directory, names, oidBytes } = this.#options;
    const tree = directory.length === 0 ? '^{tree}' : ':';
    const object = await this.#treeAt(Buffer.concat([Buffer.from(commit + tree), directory]));
    this.#first = object?.data ?? NO_ENTRIES;
    const found: string[] = [];
    const cursor = new TreeCursor(this.#first, oidBytes);
    const slice = new LoopSlice();
    while (cursor.next()) {
      const name = nameOf(cursor);
      if (names.has(name)) found.push(name);
      if (slice.isOverAfterItem()) await slice.pause();
    }
    return found;
  }

  parents(node: CommitNode): readonly string[] {
    return this.grafts.get(node.oid) ?? node.parents;
  }

  /** Returns the names whose entry, that of the start at the child, is the same at the parent. */
  async sameEntries(child: CommitNode, parent: CommitNode, names: ReadonlySet<string>): Promise<string[]> {
    if (child.treeOid === parent.treeOid) return [...names];
    const changed = await this.changed(parent);
    return changed === 'all' ? [] : [...names].filter((name) => !changed.has(name));
  }

  /**
   * Compares the directory at a commit. Those of the next known commits in line are requested at
   * the same time.
   */
  async changed(node: CommitNode): Promise<Changed> {
    const known = this.#trees.get(this.#key(node));
    if (known !== undefined) return await known;
    const changed = this.#ask(node);
    let [behind] = this.parents(node);
    for (let ahead = 0; ahead < READ_AHEAD && behind !== undefined; ahead++) {
      const next = this.#nodes.known(behind);
      if (next === undefined) break;
      if (!this.#trees.has(this.#key(next))) void this.#ask(next);
      [behind] = this.parents(next);
    }
    return await changed;
  }

  #key({ oid, treeOid }: CommitNode): string {
    return this.#options.directory.length === 0 ? treeOid : oid;
  }

  #ask(node: CommitNode): Promise<Changed> {
    const key = this.#key(node);
    const changed = this.#read(node, key);
    // It may fail long before it is awaited, or without ever being awaited.
    changed.catch(() => {});
    this.#trees.set(key, changed);
    return changed;
  }

  async #read({ treeOid }: CommitNode, key: string): Promise<Changed> {
    const { directory } = this.#options;
    const isRoot = directory.length === 0;
    const object = await this.#treeAt(isRoot ? treeOid : Buffer.concat([Buffer.from(key), COLON, directory]));
    if (object === undefined) {
      if (!isRoot) await this.#requireTreesAbove(treeOid);
      return 'all';
    }
    // Most commits do not change a directory.
    if (this.#latest?.oid !== object.oid)
      this.#latest = { oid: object.oid, changed: this.#compare(object.data) };
    return await this.#latest.changed;
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

  async #treeAt(revision: string | Buffer): Promise<RawObject | undefined> {
    const object = await this.#objects.readObject(revision);
    if (object === undefined && this.#options.directory.length === 0) return missing();
    return object?.type === 'tree' ? object : undefined;
  }

  /**
   * Compares a directory with the first one, in slices of the event loop: it may have a million
   * entries. Only of those that differ a name is made.
   */
  async #compare(data: Buffer): Promise<Changed> {
    const { names, oidBytes } = this.#options;
    const changed = new Set<string>();
    const [first, other] = [new TreeEntries(this.#first, oidBytes), new TreeEntries(data, oidBytes)];
    const slice = new LoopSlice();
    while (!first.isAtEnd) {
      const order = orderOf(first, other);
      if (order < 0 || (order === 0 && !areEqual(first, other))) {
        const name = nameOf(first.cursor);
        if (names.has(name)) changed.add(name);
      }
      if (order <= 0) first.next();
      if (order >= 0) other.next();
      if (slice.isOverAfterItem()) await slice.pause();
    }
    return changed;
  }
}

/** Returns the name of an entry, one character per byte. */
function nameOf({ data, nameAt, nameEnd }: TreeCursor): string {
  return data.toString('latin1', nameAt, nameEnd);
}

/** Throws git's error for a history that it cannot walk. */
function missing(): never {
  throw new GitalyError('UNKNOWN', 'exit status 128');
}
