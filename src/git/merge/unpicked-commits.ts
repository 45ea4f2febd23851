import { flag, gitCommand } from '../command/git-command.ts';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import { type CommitNodes, requireNotGrafted } from '../history/graph/commit-nodes.ts';
import { nearMergeBase } from '../history/graph/merge-base.ts';
import { walkRange } from '../history/graph/walk-range.ts';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import { OID_BYTES, type OidBytes } from '../names/object-id.ts';
import { parseTreeInTurns, type TreeEntry } from '../objects/parse/parse-tree.ts';
import type { GitRepository } from '../repository.ts';
import { requireDepthOf } from '../trees/tree-depth.ts';

/** Two commits with a common ancestor, neither of which is reachable from the other. */
export interface RebasedBranch {
  readonly onto: string;
  readonly tip: string;
}

interface Options {
  readonly signal: AbortSignal;
}

/** Limit of a side's commits; git lists more of them faster. */
const MAX_COMMITS = 256;

/**
 * Lists the commits of `tip` that `onto` lacks, oldest first, without merges and without those
 * whose change a commit of `onto` makes as well.
 *
 * @throws {GitalyError} FAILED_PRECONDITION for trees that are nested too deep; {GitExitError}.
 */
export async function unpickedCommits(
  repository: GitRepository,
  branch: RebasedBranch,
  options: Options,
): Promise<string[]> {
  return await repository.inProcess.attempt(
    'unpicked_commits',
    () => nearUnpickedCommits(repository, branch, options),
    () => askGit(repository, branch, options),
  );
}

/**
 * Lists the same commits without starting git. For use inside an attempt.
 *
 * @throws {FallBackToGit} when there are many commits or trees, when the branch contains merges,
 *   and when commits of both sides change the same files.
 */
export async function nearUnpickedCommits(
  repository: GitRepository,
  { onto, tip }: RebasedBranch,
  { signal }: Options,
): Promise<string[]> {
  const nodes = requireNotGrafted(repository.commits);
  const base = await nearMergeBase(repository, onto, tip);
  if (base === undefined) throw new FallBackToGit('the commits have nothing in common');
  const right = await chainOf(nodes, tip, base);
  const starts = [{ oid: base, isExcluded: true }, { oid: onto }];
  // git also compares commits that it lists before it finds them excluded.
  const left = await walkRange(nodes, starts, { signal, maxCommits: MAX_COMMITS, needsDateOrder: true });
  const names = new PatchNames(repository, nodes, signal);
  const known = new Set<string>();
  for (const commit of right) known.add(await names.of(commit));
  for (const { node } of left.filter(({ node: { parents } }) => parents.length < 2))
    if (known.has(await names.of(node))) throw new FallBackToGit('commits may make the same change');
  return right.map(({ oid }) => oid).reverse();
}

/** For `--cherry-pick` git from 2.46 on reads trees, and fails if they are nested too deep. */
async function askGit(
  repository: GitRepository,
  { onto, tip }: RebasedBranch,
  { signal }: Options,
): Promise<string[]> {
  const words = ['--cherry-pick', '--right-only', '--no-merges', '--topo-order', '--reverse'];
  const command = gitCommand('rev-list', { options: words.map(flag), revisions: [`${onto}...${tip}`] });
  const output = await repository.run(command, { signal }).catch(async (error: unknown) => {
    await requireDepthOf(repository, `${tip}^{tree}`, signal);
    throw error;
  });
  return output
    .toString('latin1')
    .split('\n')
    .filter((oid) => oid !== '');
}

/** Returns the commits from the tip to the base, without the base, if each has one parent. */
async function chainOf(nodes: CommitNodes, tip: string, base: string): Promise<CommitNode[]> {
  const chain: CommitNode[] = [];
  for (let oid = tip; oid !== base; ) {
    const node = nodes.known(oid) ?? (await nodes.read(oid));
    const [parent, ...others] = node?.parents ?? [];
    if (node?.seconds === undefined || parent === undefined)
      throw new FallBackToGit('a commit cannot be read');
    if (others.length > 0) throw new FallBackToGit('the branch contains merges');
    if (chain.push(node) > MAX_COMMITS) throw new FallBackToGit('there are very many commits');
    oid = parent;
  }
  return chain;
}

/** Limit of trees that are read; git reads more of them faster. */
const MAX_TREES = 1_000;
/** Limit of nested directories; git has one as well. */
const MAX_DEPTH = 100;

/** White space, which git leaves out of the names in a patch id. */
const SPACE = /[ \t\n\v\f\r]/g;
/** Start of a file's names in the text that git hashes. A name that contains it is ambiguous. */
const SEPARATOR = 'diff--git';

/** The same directory before and after a commit; `undefined` where it does not exist. */
interface Directory {
  readonly path: string;
  readonly depth: number;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Names the changes of commits by file names, which is how git starts to compare patches. */
class PatchNames {
  readonly #repository: GitRepository;
  readonly #nodes: CommitNodes;
  readonly #signal: AbortSignal;
  readonly #oidBytes: OidBytes;
  #trees = 0;

  constructor(repository: GitRepository, nodes: CommitNodes, signal: AbortSignal) {
    this.#repository = repository;
    this.#nodes = nodes;
    this.#signal = signal;
    this.#oidBytes = OID_BYTES[repository.objectFormat];
  }

  /**
   * Returns a text that is the same for two commits with the same patch id; it may be the same for
   * others. The commits have one parent at most.
   *
   * @throws {FallBackToGit} when a tree cannot be read, or very many have to be.
   */
  async of({ treeOid, parents: [parent] }: CommitNode): Promise<string> {
    const changes: string[] = [];
    const before = parent === undefined ? undefined : await this.#treeOf(parent);
    const pending: Directory[] = [{ path: '', depth: 0, before, after: treeOid }];
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop())
      if (directory.before !== directory.after) await this.#compare(directory, pending, changes);
    return changes.sort().join('\0');
  }

  async #treeOf(oid: string): Promise<string> {
    const node = this.#nodes.known(oid) ?? (await this.#nodes.read(oid));
    if (node === undefined) throw new FallBackToGit('a commit cannot be read');
    return node.treeOid;
  }

  async #compare(directory: Directory, pending: Directory[], changes: string[]): Promise<void> {
    const { path, depth, before, after } = directory;
    if (depth > MAX_DEPTH) throw new FallBackToGit('directories are nested deep');
    const [old, now] = [await this.#entries(before), await this.#entries(after)];
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      const [was, is] = [old.get(key), now.get(key)];
      if (was?.oid === is?.oid && was?.mode === is?.mode) continue;
      if (isSubmodule(was) || isSubmodule(is)) throw new FallBackToGit('a submodule changes');
      if (key.endsWith('/'))
        pending.push({ path: path + key, depth: depth + 1, before: was?.oid, after: is?.oid });
      else changes.push(nameOf(path + key, was?.mode, is?.mode));
    }
  }

  /** Returns the entries by name; the names of directories end with a slash. */
  async #entries(oid: string | undefined): Promise<ReadonlyMap<string, TreeEntry>> {
    if (oid === undefined) return new Map();
    if (++this.#trees > MAX_TREES) throw new FallBackToGit('very many trees have to be read');
    const { objects } = this.#repository;
    const tree = await objects.readObject(oid, { signal: this.#signal }).catch(fallBackOnFailure);
    if (tree?.type !== 'tree') throw new FallBackToGit('a tree cannot be read');
    const entries = await parseTreeInTurns(tree.data, this.#oidBytes, this.#signal).catch(fallBackOnFailure);
    const byName = new Map(entries.map((entry) => [entryKey(entry), entry]));
    if (byName.size < entries.length) throw new FallBackToGit('a tree has two entries of one name');
    return byName;
  }
}

function entryKey({ name, mode }: TreeEntry): string {
  if (canonicalMode(mode) !== mode) throw new FallBackToGit('a tree is not one that git writes');
  const text = name.toString('latin1');
  if (text.includes('/')) throw new FallBackToGit('a tree is not one that git writes');
  return kindOf(mode) === 'tree' ? `${text}/` : text;
}

/** Settings may hide changes of submodules. */
function isSubmodule(entry: TreeEntry | undefined): boolean {
  return entry !== undefined && kindOf(entry.mode) === 'submodule';
}

function nameOf(path: string, before: number | undefined, after: number | undefined): string {
  const name = path.replace(SPACE, '');
  if (name.includes(SEPARATOR)) throw new FallBackToGit('a name is like a part of a patch');
  if (before === undefined) return `new ${after?.toString(8)} ${name}`;
  return after === undefined ? `deleted ${before.toString(8)} ${name}` : `changed ${name}`;
}
