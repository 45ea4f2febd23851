import { mkdtemp, rm } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { flag, type GitOption, gitCommand, value } from '../command/git-command.ts';
import { OutputBeforeFailure, outputBytes } from '../command/output-bytes.ts';
import { writeScratchObject } from '../diff/scratch-object.ts';
import type { Git } from '../git.ts';
import type { ObjectFormatName } from '../object-format.ts';
import { formatCommit } from '../objects/format-commit.ts';
import type { GitRepository } from '../repository.ts';
import type { ThreeTrees } from './merge-in-process.ts';
import { type MergeTreeOutput, parseMergeTree } from './parse-merge-tree.ts';

/** The tree that a merge ends with. */
export interface MergedTree extends MergeTreeOutput {
  readonly isClean: boolean;
}

export interface MergeTreeOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Merges two commits with `git merge-tree --write-tree`: renames are found, files are merged line by line, several merge bases become one.
 * Trees, merged files and files with conflict markers (labelled with the ids given) go into the repository's object directory. Histories
 * without common commits are merged too.
 *
 * @throws {GitExitError} when git fails; {GitalyError} `couldn't parse merge tree output: …`, also for ids of no commits.
 */
export async function mergeTreeOfCommits(
  git: Git,
  repository: GitRepository,
  { ours, theirs }: { readonly ours: string; readonly theirs: string },
  options: MergeTreeOptions = {},
): Promise<MergedTree> {
  return await runMergeTree(git, repository, [flag('--allow-unrelated-histories')], [ours, theirs], options);
}

/** Three trees, and the ids by which people know the sides: files that have to make way are named after them (`thing~<id>`). */
export interface LabelledTrees extends ThreeTrees {
  readonly labels: { readonly ours: string; readonly theirs: string };
}

/** As {@link mergeTreeOfCommits}, of three trees, so that the caller says what the changes are relative to. */
export async function mergeTreeOfTrees(
  git: Git,
  repository: GitRepository,
  trees: LabelledTrees,
  options: MergeTreeOptions = {},
): Promise<MergedTree> {
  const { base, ours, theirs, labels } = trees;
  if (git.capabilities.mergeTreeOfTrees) {
    const merged = await runMergeTree(git, repository, [value('--merge-base', base)], [ours, theirs], options);
    return relabelled(merged, [ours, theirs], labels);
  }
  await using standIns = await StandIns.create(git, repository);
  const root = await standIns.commit(base, []);
  const sides = [await standIns.commit(ours, [root]), await standIns.commit(theirs, [root])] as const;
  return relabelled(await runMergeTree(git, standIns.repository, [], sides, options), sides, labels);
}

/** Commits whose only use is that an older git takes commits instead of trees: git sees them, and they go with this. */
class StandIns implements AsyncDisposable {
  /** The repository with the commits. */
  readonly repository: GitRepository;
  readonly #directory: string;
  readonly #objectFormat: ObjectFormatName;

  private constructor(repository: GitRepository, directory: string, objectFormat: ObjectFormatName) {
    const { path, objectDirectory, alternateObjectDirectories } = repository;
    this.repository = { path, objectDirectory, alternateObjectDirectories: [directory, ...alternateObjectDirectories] };
    this.#directory = directory;
    this.#objectFormat = objectFormat;
  }

  static async create(git: Git, repository: GitRepository): Promise<StandIns> {
    const directory = await mkdtemp(`${repository.objectDirectory}/merge-`);
    return new StandIns(repository, directory, git.objectFormat(repository));
  }

  async commit(treeOid: string, parentOids: readonly string[]): Promise<string> {
    const nobody = Buffer.from('nobody <> 0 +0000');
    const data = formatCommit({ treeOid, parentOids, author: nobody, committer: nobody, message: Buffer.alloc(0) });
    return await writeScratchObject(this.#directory, { type: 'commit', data }, this.#objectFormat);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function relabelled(merged: MergedTree, sides: readonly [string, string], labels: LabelledTrees['labels']): MergedTree {
  const rename = (path: Buffer): Buffer => {
    const name = path.toString('latin1');
    const renamed = name.replace(`~${sides[0]}`, `~${labels.ours}`).replace(`~${sides[1]}`, `~${labels.theirs}`);
    return renamed === name ? path : Buffer.from(renamed, 'latin1');
  };
  return { ...merged, conflicts: merged.conflicts.map((entry) => ({ ...entry, path: rename(entry.path) })) };
}

/** More than this is no list of conflicts that anybody looks at. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

async function runMergeTree(
  git: Git,
  repository: GitRepository,
  flags: readonly GitOption[],
  sides: readonly string[],
  { signal }: MergeTreeOptions,
): Promise<MergedTree> {
  const options = [flag('--write-tree'), flag('-z'), ...flags];
  const command = gitCommand('merge-tree', { options, revisions: sides });
  const output = new OutputBeforeFailure(outputBytes(git, repository, command, { signal }), signal);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of output) {
    bytes += chunk.length;
    if (bytes > MAX_OUTPUT_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', 'too many conflicts');
    chunks.push(chunk);
  }
  const { failure } = output;
  if (failure !== undefined && failure.exitCode !== 1) throw failure;
  return { ...parseMergeTree(Buffer.concat(chunks, bytes)), isClean: failure === undefined };
}
