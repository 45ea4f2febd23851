import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand } from '../command/git-command.ts';
import { OutputBeforeFailure, outputBytes } from '../command/output.ts';
import type { GitRepository } from '../repository.ts';
import { type MergeTreeOutput, parseMergeTree } from './parse-merge-tree.ts';

export interface MergedTree extends MergeTreeOutput {
  readonly isClean: boolean;
}

/** Older versions of `git merge-tree` ignore `core.useReplaceRefs`. */
export const WITHOUT_REPLACEMENTS = { GIT_NO_REPLACE_OBJECTS: '1' };

/** Limit of the output; a longer list of conflicts is useless. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/**
 * Merges two commits with `git merge-tree --write-tree`: renames are found, files are merged line
 * by line, several merge bases become one. Trees, merged files and files with conflict markers
 * (labelled with the given ids) are written to the repository's object directory. Histories without
 * common commits are merged too.
 *
 * @throws {GitExitError} when git fails; {GitalyError} `couldn't parse merge tree output: …`, also
 *   for ids that are not commits.
 */
export async function mergeTreeOfCommits(
  repository: GitRepository,
  { ours, theirs }: { readonly ours: string; readonly theirs: string },
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<MergedTree> {
  const words = [flag('--write-tree'), flag('-z'), flag('--allow-unrelated-histories')];
  const command = gitCommand('merge-tree', { options: words, revisions: [ours, theirs] });
  const output = new OutputBeforeFailure(
    outputBytes(repository, command, { signal, env: WITHOUT_REPLACEMENTS }),
    signal,
  );
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of output) {
    bytes += chunk.length;
    if (bytes > MAX_OUTPUT_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', 'too many conflicts');
    chunks.push(chunk);
  }
  const { failure } = output;
  if (failure !== undefined && failure.exitCode !== 1) throw failure;
  return { ...(await parseMergeTree(Buffer.concat(chunks, bytes), signal)), isClean: failure === undefined };
}
