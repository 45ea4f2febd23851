import { readdir } from 'node:fs/promises';
import { EMPTY_TREE } from '#git/command/config';
import { nearMergeBases } from '#git/merge/merge-base';
import { mergeInProcess, type ThreeTrees, type TreeAccess } from '#git/merge/merge-in-process';
import { type MergedTree, mergeTreeOfCommits } from '#git/merge/merge-tree';
import { type LabelledTrees, TreeMerges } from '#git/merge/tree-merges';
import type { ObjectReader } from '#git/objects/object-reader';
import { parseTree, type TreeEntry } from '#git/objects/parse-tree';
import { ObjectWriter } from '#git/objects/write-objects';
import type { Repository } from '#storage/repository';
import { syncPath } from '#storage/sync-tree';

export interface MergeWorkspaceOptions {
  /** Where the commits are. */
  readonly repository: Repository;
  /** Where new objects go: the repository with a quarantine, or the repository itself. */
  readonly target: Repository;
  readonly signal: AbortSignal;
}

/**
 * A place to merge in, several times over: what one merge made, the next one uses. A merge in which nothing has to be decided costs no
 * process; the others are git's.
 *
 *     await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
 *     const { treeOid, isClean } = await workspace.mergeCommits(ours, theirs);
 *     await writeCommit(workspace.writer, { treeOid, … });
 *     await workspace.finish();
 */
export class MergeWorkspace implements AsyncDisposable {
  /** The repository whose commits are merged. */
  readonly repository: Repository;
  readonly signal: AbortSignal;
  /** New objects; they are on disk after {@link finish}. */
  readonly writer: ObjectWriter;
  readonly #options: MergeWorkspaceOptions;
  readonly #trees: TreeAccess;
  /** Started at the first merge of trees that is git's. */
  #merges: TreeMerges | undefined;

  constructor(options: MergeWorkspaceOptions) {
    this.#options = options;
    this.repository = options.repository;
    this.signal = options.signal;
    this.writer = new ObjectWriter(options.target, options.target.git.objectFormat(options.repository));
    this.#trees = new WorkspaceTrees(this, options, this.writer);
  }

  get objects(): ObjectReader {
    return this.repository.objects;
  }

  /**
   * Merges two commits, given by full ids. Their histories need not have anything in common.
   *
   * @throws {GitExitError} {GitalyError} as `mergeTreeOfCommits`.
   */
  async mergeCommits(ours: string, theirs: string): Promise<MergedTree> {
    const { repository, target, signal } = this.#options;
    const treeOid = await this.#mergeEasily(ours, theirs);
    if (treeOid !== undefined) return clean(treeOid);
    await this.writer.finish();
    return await mergeTreeOfCommits(repository.git, target, { ours, theirs }, { signal });
  }

  /**
   * Merges trees: applies what leads from the base to theirs to ours. The labels are what clients know the sides by.
   *
   * @throws {GitExitError} {GitalyError} as `mergeTreeOfTrees`.
   */
  async mergeTrees(trees: LabelledTrees): Promise<MergedTree> {
    const { repository, target, signal } = this.#options;
    const treeOid = await this.#inProcess(trees);
    if (treeOid !== undefined) return clean(treeOid);
    await this.writer.finish();
    this.#merges ??= await TreeMerges.start(repository.git, target, { signal });
    return await this.#merges.merge(trees);
  }

  /** Whether git has written objects that only the target has. */
  get hasObjectsOfGit(): boolean {
    return this.#merges !== undefined;
  }

  /** Resolves when everything that was made is on disk. */
  async finish(): Promise<void> {
    await this.writer.finish();
    if (this.#merges !== undefined) await syncObjects(this.#options.target.objectDirectory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#merges?.[Symbol.asyncDispose]();
    await this.writer[Symbol.asyncDispose]();
  }

  async #mergeEasily(ours: string, theirs: string): Promise<string | undefined> {
    const { repository, signal } = this.#options;
    const { git, objects } = repository;
    const bases = await nearMergeBases(git, repository, ours, theirs, { signal });
    if (bases === undefined || bases.length > 1) return undefined;
    const [oursTree, theirsTree, baseTree] = await Promise.all(
      [ours, theirs, ...bases].map(async (oid) => (await objects.info(`${oid}^{tree}`, { signal }))?.oid),
    );
    if (oursTree === undefined || theirsTree === undefined) return undefined;
    const base = bases.length === 0 ? EMPTY_TREE[this.writer.objectFormat] : baseTree;
    return base && (await this.#inProcess({ base, ours: oursTree, theirs: theirsTree }));
  }

  async #inProcess(trees: ThreeTrees): Promise<string | undefined> {
    try {
      const treeOid = await mergeInProcess(this.#trees, trees);
      // git knows it without the object, other readers may not.
      return treeOid === EMPTY_TREE[this.writer.objectFormat] ? await this.writer.writeTree([]) : treeOid;
    } catch (error) {
      if (this.#options.signal.aborted) throw error;
      return undefined; // whatever is wrong with the trees, git says it in its own words
    }
  }
}

/** Trees of the repository and those that were written meanwhile. */
class WorkspaceTrees implements TreeAccess {
  readonly #workspace: MergeWorkspace;
  readonly #options: MergeWorkspaceOptions;
  readonly #writer: ObjectWriter;
  readonly #written = new Map<string, readonly TreeEntry[]>();
  readonly #oidBytes: 20 | 32;

  constructor(workspace: MergeWorkspace, options: MergeWorkspaceOptions, writer: ObjectWriter) {
    this.#workspace = workspace;
    this.#options = options;
    this.#writer = writer;
    this.#oidBytes = writer.objectFormat === 'sha1' ? 20 : 32;
  }

  async readTree(oid: string): Promise<readonly TreeEntry[]> {
    const written = this.#written.get(oid);
    if (written !== undefined) return written;
    const { repository, target, signal } = this.#options;
    // To look into a quarantine costs a process of its own.
    const { objects } = this.#workspace.hasObjectsOfGit ? target : repository;
    const object = await objects.readObject(oid, { signal });
    if (object?.type !== 'tree') throw new Error('not a tree');
    return parseTree(object.data, this.#oidBytes);
  }

  async writeTree(entries: readonly TreeEntry[]): Promise<string> {
    const oid = await this.#writer.writeTree(entries);
    this.#written.set(oid, entries);
    return oid;
  }
}

/** Files flushed at once: the file system takes them together. */
const CONCURRENCY = 8;

/** Flushes loose objects to disk, as git itself would have, only later and side by side. */
async function syncObjects(objectDirectory: string): Promise<void> {
  const entries = await readdir(objectDirectory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => `${parentPath}/${name}`);
  const work = files.values();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const file of work) await syncPath(file);
    }),
  );
}

function clean(treeOid: string): MergedTree {
  return { treeOid, isClean: true, conflicts: [], messages: [] };
}
