import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { MAX_CPU_SECONDS } from './new-commits.ts';
import type { PushChanges } from './push-changes.ts';

const NUL = 0;
const LISTING = ['--format=', '--name-only', '-z', '--root', '--no-renames', '--no-ext-diff'];
/** git compares a merge with all its parents, and lists the differences from each. */
const FROM_ALL_PARENTS = '-c';
/** git repeats a merge, and lists the differences from its own result and the conflicts. */
const FROM_OWN_MERGE = '--remerge-diff';
/** When one side moves a directory, the files of the other side are not moved with it. */
const OWN_MERGE = [{ key: 'merge.directoryRenames', value: 'false' }];
const MORE_THAN_TWO_PARENTS = 3;

/** A search for refused files in new commits. */
export interface PathSearch {
  /** The new commits, as arguments of `git log`. */
  readonly revisions: readonly string[];
  /** Reports whether a file may not be changed. */
  readonly isRefused: (path: string) => boolean;
}

/**
 * Returns what new commits change although it is refused, to follow "does not allow"; `undefined`
 * if nothing.
 *
 * A merge may take each file from a parent, as git itself merges the parents. The first listing
 * alone would accept a merge with an old commit that takes all files from there; the second alone
 * would accept a change of a file that git carries to where another parent has moved the file.
 */
export async function refusedPath(push: PushChanges, search: PathSearch): Promise<string | undefined> {
  const changed = await firstPath(push, search, FROM_ALL_PARENTS);
  if (changed !== undefined) return changed;
  const parents = await mostParents(push, search.revisions);
  // git does not repeat such a merge.
  if (parents >= MORE_THAN_TWO_PARENTS) return 'a merge of more than two commits';
  return parents === 0 ? undefined : await firstPath(push, search, FROM_OWN_MERGE);
}

async function firstPath(
  { repository, signal }: PushChanges,
  { isRefused, revisions }: PathSearch,
  merges: string,
): Promise<string | undefined> {
  const command = gitCommand('log', { options: [...LISTING, merges].map(flag), revisions });
  const reading = { signal, delimiter: NUL, maxCpuSeconds: MAX_CPU_SECONDS, config: OWN_MERGE };
  for await (const names of outputLines(repository, command, reading))
    for (const name of names) {
      const path = name.toString();
      if (path !== '' && isRefused(path)) return `to change ${JSON.stringify(path)}`;
    }
  return undefined;
}

/** Returns the number of parents of the merge with most of them; 0 if there is none. */
async function mostParents(
  { repository, signal }: PushChanges,
  revisions: readonly string[],
): Promise<number> {
  const options = ['--min-parents=2', '--parents'].map(flag);
  const command = gitCommand('rev-list', { options, revisions });
  let most = 0;
  for await (const lines of outputLines(repository, command, { signal, maxCpuSeconds: MAX_CPU_SECONDS }))
    for (const line of lines) most = Math.max(most, line.toString().split(' ').length - 1);
  return most;
}
