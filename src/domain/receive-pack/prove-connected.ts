import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '#git/command/in-process';
import { parseNode, requireNotGrafted } from '#git/history/graph/commit-nodes';
import { reaches, reachesByGraph } from '#git/history/graph/is-ancestor';
import { kindOf } from '#git/names/entry-kind';
import { EMPTY_TREE, isZeroOid, OID_BYTES, OID_SOURCE } from '#git/names/object-id';
import type { ObjectReader } from '#git/objects/object-reader';
import { areEqual, orderOf, TreeEntries } from '#git/trees/tree-entries';
import type { Repository } from '#storage/repository';

/** The facts about a repository on which a proof relies. */
export interface ProofContext {
  readonly repository: Repository;
  /** Reads the repository and the new objects. */
  readonly objects: ObjectReader;
  /** The objects that came with the push. git has checked that all objects they name exist. */
  readonly newOids: ReadonlySet<string>;
  /** The value of the reference; zeros for none. Nothing of its history is missing. */
  readonly oldOid: string;
  /** The reference that HEAD names. Others are seldom needed. */
  readonly head: string | undefined;
  readonly signal: AbortSignal;
}

/** Limit of the trees that are read; git needs less time for more. */
const MAX_TREES = 500;
const TAG = new RegExp(`^object (${OID_SOURCE})\ntype ([a-z]+)\n`);

const NOT_REACHABLE = new FallBackToGit('a commit may not be reachable');
const UNUSUAL = new FallBackToGit('an object is unusual');
const MANY_TREES = new FallBackToGit('the push has many trees');
const MISSING = new FallBackToGit('an object may be missing');

/**
 * Proves that nothing is missing of the history of a new value, as `git rev-list --objects <new>
 * --not --all` does for receive-pack. A link leads to a new object, which is checked too; to a
 * commit that is reachable already; or to a tree or file that a parent has at the same path.
 *
 * @returns the type of the new value.
 * @throws {FallBackToGit} without a proof.
 */
export async function proveConnected(tip: string, context: ProofContext): Promise<'commit' | 'tag'> {
  return await new Proof(context).tip(tip);
}

class Proof {
  readonly #context: ProofContext;
  readonly #commits = new Set<string>();
  readonly #trees = new Set<string>();
  readonly #slice = new LoopSlice();
  readonly #emptyTree: string;
  #treesLeft = MAX_TREES;

  constructor(context: ProofContext) {
    this.#context = context;
    this.#emptyTree = EMPTY_TREE[context.repository.objectFormat];
    this.#trees.add(this.#emptyTree);
  }

  async tip(oid: string): Promise<'commit' | 'tag'> {
    const { type, data } = await this.#read(oid);
    if (type === 'commit') {
      await this.#history(oid);
      return 'commit';
    }
    const [, target, targetType] = TAG.exec(data.toString('latin1', 0, 1024)) ?? [];
    // A tag that exists already could be reachable without this push; git finds out.
    if (type !== 'tag' || target === undefined || !this.#context.newOids.has(oid)) throw UNUSUAL;
    if (targetType === 'commit') await this.#history(target);
    else if (targetType === 'tag') await this.tip(target);
    else throw UNUSUAL;
    return 'tag';
  }

  /** Checks a commit and its new ancestors. */
  async #history(tip: string): Promise<void> {
    const waiting = [tip];
    for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
      if (this.#commits.has(oid)) continue;
      this.#commits.add(oid);
      if (!this.#context.newOids.has(oid)) {
        if (!(await this.#isReachable(oid))) throw NOT_REACHABLE;
        continue;
      }
      const { treeOid, parents } = await this.#commit(oid);
      waiting.push(...parents);
      // The parents are checked as well, so that all their trees are complete.
      const bases: string[] = [];
      for (const parent of parents) bases.push((await this.#commit(parent)).treeOid);
      await this.#tree(treeOid, bases);
    }
  }

  /** Reports whether the reference's value or the default branch reaches a commit. */
  async #isReachable(oid: string): Promise<boolean> {
    const { head, oldOid, repository, signal } = this.#context;
    if (oid === oldOid) return true;
    const branch =
      head === undefined ? undefined : await repository.refs.resolve(Buffer.from(head, 'latin1'), { signal });
    if (oid === branch?.oid) return true;
    const tips = [...(isZeroOid(oldOid) ? [] : [oldOid]), ...(branch === undefined ? [] : [branch.oid])];
    for (const tip of tips) if (await isReachedFrom(repository, tip, oid)) return true;
    return false;
  }

  /** Checks everything in a tree that is not in one of the complete trees at the same path. */
  async #tree(oid: string, bases: readonly string[]): Promise<void> {
    const { newOids } = this.#context;
    if (bases.includes(oid) || this.#trees.has(oid)) return;
    const old: TreeEntries[] = [];
    for (const base of bases) if (base !== this.#emptyTree) old.push(await this.#entries(base));
    const now = await this.#entries(oid);
    for (; !now.isAtEnd; now.next()) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(this.#context.signal);
      for (const base of old) while (!base.isAtEnd && orderOf(base, now) < 0) base.next();
      const atPath = old.filter((base) => !base.isAtEnd && orderOf(base, now) === 0);
      if (atPath.some((base) => areEqual(base, now)) || kindOf(now.mode) === 'submodule') continue;
      const entry = now.cursor.oid();
      if (now.isTree)
        await this.#tree(
          entry,
          atPath.filter(({ isTree }) => isTree).map(({ cursor }) => cursor.oid()),
        );
      // git has looked up the files of new trees.
      else if (!newOids.has(oid) && !newOids.has(entry)) await this.#file(entry);
    }
    this.#trees.add(oid);
  }

  /** Checks a file that is at another path of the repository, or was once. */
  async #file(oid: string): Promise<void> {
    const { objects, signal } = this.#context;
    if ((await objects.info(oid, { signal }))?.type !== 'blob') throw MISSING;
  }

  async #commit(oid: string) {
    const { type, data } = await this.#read(oid);
    const node = type === 'commit' ? parseNode(oid, data) : undefined;
    if (node === undefined) throw UNUSUAL;
    return node;
  }

  async #entries(oid: string): Promise<TreeEntries> {
    if (this.#treesLeft-- === 0) throw MANY_TREES;
    const { type, data } = await this.#read(oid);
    if (type !== 'tree') throw UNUSUAL;
    return new TreeEntries(data, OID_BYTES[this.#context.repository.objectFormat]);
  }

  async #read(oid: string) {
    const { objects, signal } = this.#context;
    return await objects.readInProcess(oid, { signal });
  }
}

async function isReachedFrom(repository: Repository, tip: string, oid: string): Promise<boolean> {
  const nodes = requireNotGrafted(repository.commits);
  return await (nodes.graph === undefined
    ? reaches(nodes, tip, oid)
    : reachesByGraph(nodes, nodes.graph, tip, oid));
}
