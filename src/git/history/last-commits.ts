import { GitalyError } from '#base/gitaly-error';
import { abortError } from '../command/exit-error.ts';
import type { Git } from '../git.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { parseTree } from '../objects/parse-tree.ts';
import type { GitRepository } from '../repository.ts';
import { canonicalMode } from '../trees/entry-kind.ts';
import type { CommitNode } from './commit-node.ts';
import type { CommitNodes } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import { readGrafts } from './grafts.ts';
import { oldCommits } from './old-commits.ts';

/** Entries of one directory of a commit. */
export interface LastCommitsQuery {
  readonly commit: string;
  /** Path of the directory without a slash at its end; empty for the root. */
  readonly directory: Buffer;
  readonly names: readonly Buffer[];
}

/** Commits whose trees are read in one trip. */
const READ_AHEAD = 31;
/** The walk goes so far: the last commits of most entries are not old. What is left is quicker with git, and not on our time. */
const MAX_COMMITS = 256;

/**
 * The newest commit that changed each entry of a directory, by name (as latin1 text, one character a byte): the one that `git log -1` finds for
 * each path. Names that the directory does not have are left out.
 *
 * The history of an entry is a single line: from a commit to its first parent that has the same entry, up to the commit where no parent
 * has. So the walk takes all entries along at once, and leaves out side branches that brought nothing. Entries that are older are looked for
 * by git, from the commit on that the walk has come to.
 *
 * @throws {GitalyError} without a code, or {GitExitError}, `exit status 128`, when a commit or a tree is missing; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export async function lastCommits(
  git: Git,
  repository: GitRepository,
  { commit, directory, names }: LastCommitsQuery,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Map<string, string>> {
  const objects = git.objects(repository);
  const oidBytes = git.objectFormat(repository) === 'sha1' ? 20 : 32;
  const history = new History(git.commitNodes(repository), objects, { directory, oidBytes, grafts: readGrafts(repository) });
  const wanted = new Map<string, string>();
  const there = await history.tree(await history.node(commit));
  for (const name of names) {
    const key = name.toString('latin1');
    const entry = there.get(key);
    if (entry !== undefined) wanted.set(key, entry);
  }

  const found = new Map<string, string>();
  /** Entries on their way, at the commit that they have come to. */
  const waiting = new Map<string, Set<string>>([[commit, new Set(wanted.keys())]]);
  const queue = new DateQueue<string>();
  queue.push(commit, 0);
  for (let walked = 0; walked < MAX_COMMITS; walked++) {
    const oid = queue.pop();
    if (oid === undefined) break;
    const here = waiting.get(oid) ?? new Set();
    waiting.delete(oid);
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
    for (const name of here) found.set(name, oid);
    // The reads are not told of the signal: that would cost more than they do.
    if (signal?.aborted === true) throw abortError(signal);
  }

  const prefix = directory.length === 0 ? directory : Buffer.concat([directory, SLASH]);
  const old = [...waiting].flatMap(([start, left]) => [...left].map((name) => ({ start, path: pathOf(prefix, name) })));
  for await (const { path, oid } of oldCommits(git, repository, old, { signal })) {
    found.set(path.toString('latin1', prefix.length), oid);
  }
  return found;
}

function pathOf(prefix: Buffer, name: string): Buffer {
  return Buffer.concat([prefix, Buffer.from(name, 'latin1')]);
}

/** A directory as a commit has it: mode and id by name. A commit without it has an empty one. */
type Directory = ReadonlyMap<string, string>;

interface HistoryOptions {
  readonly directory: Buffer;
  readonly oidBytes: 20 | 32;
  readonly grafts: ReadonlyMap<string, readonly string[]>;
}

/** Directories that are remembered; a walk needs few at a time. */
const MAX_TREES = 256;
const COLON = Buffer.from(':');
const SLASH = Buffer.from('/');

/** Commits and one directory of each, read some at a time. */
class History {
  readonly #nodes: CommitNodes;
  readonly #objects: ObjectReader;
  readonly #options: HistoryOptions;
  /** By what was asked for. */
  readonly #trees = new Map<string, Promise<Directory>>();
  #latest: { readonly oid: string; readonly directory: Directory } | undefined;

  constructor(nodes: CommitNodes, objects: ObjectReader, options: HistoryOptions) {
    this.#nodes = nodes;
    this.#objects = objects;
    this.#options = options;
  }

  async node(oid: string): Promise<CommitNode> {
    return this.#nodes.known(oid) ?? (await this.#nodes.read(oid, READ_AHEAD)) ?? missing();
  }

  parents(node: CommitNode): readonly string[] {
    return this.#options.grafts.get(node.oid) ?? node.parents;
  }

  /** Those of some names whose entry, known to be the same at the child as it is wanted, is the same at the parent. */
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

  /** The directory at a commit. Those of the next commits in line, as far as they are known, are asked for at the same time. */
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
    // It may fail long before it is waited for, or without ever being.
    tree.catch(() => {});
    this.#trees.set(key, tree);
    if (this.#trees.size > MAX_TREES) {
      const [oldest] = this.#trees.keys();
      if (oldest !== undefined) this.#trees.delete(oldest);
    }
    return tree;
  }

  async #read({ treeOid }: CommitNode, key: string): Promise<Directory> {
    const { directory, oidBytes } = this.#options;
    const isRoot = directory.length === 0;
    const object = await this.#objects.readObject(isRoot ? treeOid : Buffer.concat([Buffer.from(key), COLON, directory]));
    if (object === undefined && isRoot) return missing();
    if (object?.type !== 'tree') return new Map();
    // Most commits leave a directory as it is.
    if (this.#latest?.oid !== object.oid) this.#latest = { oid: object.oid, directory: readDirectory(object.data, oidBytes) };
    return this.#latest.directory;
  }
}

function readDirectory(data: Buffer, oidBytes: 20 | 32): Directory {
  return new Map(
    parseTree(data, oidBytes).map(({ mode, name, oid }) => [name.toString('latin1'), `${canonicalMode(mode)} ${oid}`]),
  );
}

/** What git says of a history that it cannot walk. */
function missing(): never {
  throw new GitalyError('UNKNOWN', 'exit status 128');
}
