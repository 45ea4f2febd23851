import { readdir } from 'node:fs/promises';
import { syncPath } from '#base/files/sync-path';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { nearMergeBase } from '#git/history/graph/merge-base';
import { mergeInProcess, type ThreeTrees, type TreeAccess } from '#git/merge/merge-in-process';
import { type MergedTree, mergeTreeOfCommits } from '#git/merge/merge-tree';
import { type LabelledTrees, TreeMerges } from '#git/merge/tree-merges';
import { EMPTY_TREE } from '#git/names/object-id';
import type { ObjectReader } from '#git/objects/object-reader';
import { ObjectWriter } from '#git/objects/write/write-objects';
import { requireTreeDepth } from '#git/trees/tree-depth';
import type { Repository } from '#storage/repository';
import { WorkspaceTrees } from './workspace-trees.ts';

export interface MergeWorkspaceOptions {
  /** Repository with the commits. */
  readonly repository: Repository;
  /** Receives new objects: the repository with a quarantine, or the repository itself. */
  readonly target: Repository;
  /** As of {@link ObjectWriter}. */
  readonly holdBytes?: number;
  readonly signal: AbortSignal;
}

/**
 * Merges several times in a row: each merge sees the objects that the earlier ones made. Merges
 * without conflicts and renames are made in process; git makes the others.
 *
 *     const target = quarantine.repository;
 *     await using workspace = new MergeWorkspace({ repository, target, signal });
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
  /** Started at the first merge of trees that git makes. */
  #merges: TreeMerges | undefined;

  constructor(options: MergeWorkspaceOptions) {
    this.#options = options;
    this.repository = options.repository;
    this.signal = options.signal;
    const { repository, target, holdBytes, signal } = options;
    this.writer = new ObjectWriter(target, target.objectFormat, holdBytes === undefined ? {} : { holdBytes });
    this.#trees = new WorkspaceTrees({
      repository,
      writer: this.writer,
      // Reading from a quarantine needs a separate state of its directories.
      objects: () => (this.hasObjectsOfGit ? target : repository).objects,
      signal,
    });
  }

  get objects(): ObjectReader {
    return this.repository.objects;
  }

  /**
   * Merges two commits, given by full ids. Their histories may be unrelated.
   *
   * @throws {GitExitError} {GitalyError} as `mergeTreeOfCommits`.
   */
  async mergeCommits(ours: string, theirs: string): Promise<MergedTree> {
    const { repository, target, signal } = this.#options;
    return await repository.inProcess.attempt(
      'merge_commits',
      async () => clean(await this.#mergeNear(ours, theirs)),
      async () => {
        await this.#requireDepth([`${ours}^{tree}`, `${theirs}^{tree}`]);
        await this.writer.finish();
        return await mergeTreeOfCommits(target, { ours, theirs }, { signal });
      },
    );
  }

  /**
   * Merges trees: applies the changes between the base and theirs to ours. The labels name the
   * sides in conflict markers.
   *
   * @throws {GitExitError} {GitalyError} as `mergeTreeOfTrees`.
   */
  async mergeTrees(trees: LabelledTrees): Promise<MergedTree> {
    const { repository, target, signal } = this.#options;
    return await repository.inProcess.attempt(
      'merge_trees',
      async () => clean(await this.#mergeInProcess(trees)),
      async () => {
        await this.#requireDepth([trees.base, trees.ours, trees.theirs]);
        await this.writer.finish();
        this.#merges ??= await TreeMerges.start(target, { signal });
        return await this.#merges.merge(trees);
      },
    );
  }

  /** Reports whether git has written objects that only the target has. */
  get hasObjectsOfGit(): boolean {
    return this.#merges !== undefined;
  }

  /** Resolves when all new objects are on disk. */
  async finish(): Promise<void> {
    await this.writer.finish();
    if (this.#merges !== undefined) await syncObjects(this.#options.target.objectDirectory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#merges?.[Symbol.asyncDispose]();
    await this.writer[Symbol.asyncDispose]();
  }

  /** Other problems of the trees are for git to report. */
  async #requireDepth(trees: readonly string[]): Promise<void> {
    const readable = (oid: string) => this.#trees.readTree(oid).catch(emptyOnFallBack);
    await requireTreeDepth(readable, trees);
    this.#options.signal.throwIfAborted();
  }

  async #mergeNear(ours: string, theirs: string): Promise<string> {
    const { repository, signal } = this.#options;
    const found = await nearMergeBase(repository, ours, theirs);
    const treeOf = async (oid: string): Promise<string> => {
      const tree = await repository.objects.info(`${oid}^{tree}`, { signal }).catch(fallBackOnFailure);
      if (tree === undefined) throw new FallBackToGit('a tree is missing');
      return tree.oid;
    };
    const [oursTree, theirsTree, base] = await Promise.all([
      treeOf(ours),
      treeOf(theirs),
      found === undefined ? EMPTY_TREE[this.writer.objectFormat] : treeOf(found),
    ]);
    return await this.#mergeInProcess({ base, ours: oursTree, theirs: theirsTree });
  }

  async #mergeInProcess(trees: ThreeTrees): Promise<string> {
    const treeOid = await mergeInProcess(this.#trees, trees);
    // git knows this tree without the object; other readers may not.
    return treeOid === EMPTY_TREE[this.writer.objectFormat] ? await this.writer.writeTree([]) : treeOid;
  }
}

function emptyOnFallBack(error: unknown): [] {
  if (!(error instanceof FallBackToGit)) throw error;
  return [];
}

/** Files flushed at the same time, which the file system combines. */
const CONCURRENCY = 8;

/** Flushes loose objects to disk, several at the same time. git runs with this flush disabled. */
async function syncObjects(objectDirectory: string): Promise<void> {
  const entries = await readdir(objectDirectory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${parentPath}/${name}`);
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
