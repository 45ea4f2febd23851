import { GitalyError } from '#base/gitaly-error';
import { flag, type GitOption, gitCommand, value } from '../command/git-command.ts';
import { OutputBeforeFailure, outputBytes } from '../command/output-bytes.ts';
import type { Git } from '../git.ts';
import { formatCommit } from '../objects/format-commit.ts';
import type { ObjectWriter } from '../objects/write-objects.ts';
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

/** As {@link mergeTreeOfCommits}, of three trees, so that the caller says what the changes are relative to. Labels are of no use then. */
export async function mergeTreeOfTrees(
  git: Git,
  repository: GitRepository,
  { base, ours, theirs }: ThreeTrees,
  options: MergeTreeOptions & { readonly writer: ObjectWriter },
): Promise<MergedTree> {
  if (git.capabilities.mergeTreeOfTrees) {
    return await runMergeTree(git, repository, [value('--merge-base', base)], [ours, theirs], options);
  }
  const { writer } = options;
  const root = await writeStandIn(writer, base, []);
  const sides = [await writeStandIn(writer, ours, [root]), await writeStandIn(writer, theirs, [root])];
  await writer.finish();
  return await runMergeTree(git, repository, [], sides, options);
}

/** A commit whose only use is that an older git takes commits instead of trees. Ours and theirs may be the same one: they are merged by then. */
async function writeStandIn(writer: ObjectWriter, treeOid: string, parentOids: readonly string[]): Promise<string> {
  const nobody = Buffer.from('nobody <> 0 +0000');
  return await writer.write(
    'commit',
    formatCommit({ treeOid, parentOids, author: nobody, committer: nobody, message: Buffer.alloc(0) }),
  );
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
