import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import { isZeroOid } from '#git/names/object-id';
import type { GitRepository } from '#git/repository';
import { isInPaths, type ReferenceRule } from '#tokens/reference-rules';

/** git compares and merges trees for this long at most, to find the files of new commits. */
const MAX_CPU_SECONDS = 30;
const NUL = 0;
const LISTING = ['--format=', '--name-only', '-z', '--root', '--no-renames', '--no-ext-diff'];
/** git compares a merge with all its parents, and lists the differences from each. */
const FROM_ALL_PARENTS = '-c';
/** git repeats a merge, and lists the differences from its own result and the conflicts. */
const FROM_OWN_MERGE = '--remerge-diff';
/** When one side moves a directory, the files of the other side are not moved with it. */
const OWN_MERGE = [{ key: 'merge.directoryRenames', value: 'false' }];
const MORE_THAN_TWO_PARENTS = 3;

/**
 * Returns what a new commit changes outside the paths of a rule, to follow "does not allow";
 * `undefined` if nothing. New commits are those that neither the old value of the reference nor
 * HEAD leads to.
 *
 * A merge may take each file from a parent, as git itself merges the parents. The first listing
 * alone would accept a merge with an old commit that takes all files from there; the second alone
 * would accept a change of a file that git carries to where another parent has moved the file.
 */
export async function changeOutside(
  repository: GitRepository,
  rule: ReferenceRule,
  { newOid, oldOid }: { readonly newOid: string; readonly oldOid: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const head = (await repository.refs.resolve('HEAD', { signal }))?.oid;
  const known = [oldOid, head].filter((oid) => oid !== undefined && !isZeroOid(oid));
  const revisions = [newOid, ...known.map((oid) => `^${oid}`)];
  const listing = { repository, rule, revisions, signal };
  const changed = await pathOutside(listing, FROM_ALL_PARENTS);
  if (changed !== undefined) return changed;
  const parents = await mostParents(repository, revisions, signal);
  // git does not repeat such a merge.
  if (parents >= MORE_THAN_TWO_PARENTS) return 'a merge of more than two commits';
  return parents === 0 ? undefined : await pathOutside(listing, FROM_OWN_MERGE);
}

interface Listing {
  readonly repository: GitRepository;
  readonly rule: ReferenceRule;
  readonly revisions: readonly string[];
  readonly signal: AbortSignal;
}

async function pathOutside(
  { repository, rule, revisions, signal }: Listing,
  merges: string,
): Promise<string | undefined> {
  const command = gitCommand('log', { options: [...LISTING, merges].map(flag), revisions });
  const reading = { signal, delimiter: NUL, maxCpuSeconds: MAX_CPU_SECONDS, config: OWN_MERGE };
  for await (const names of outputLines(repository, command, reading))
    for (const name of names) {
      const path = name.toString();
      if (path !== '' && !isInPaths(rule, path)) return `to change ${JSON.stringify(path)}`;
    }
  return undefined;
}

/** Returns the number of parents of the merge with most of them; 0 if there is none. */
async function mostParents(
  repository: GitRepository,
  revisions: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const options = ['--min-parents=2', '--parents'].map(flag);
  const command = gitCommand('rev-list', { options, revisions });
  let most = 0;
  for await (const lines of outputLines(repository, command, { signal, maxCpuSeconds: MAX_CPU_SECONDS }))
    for (const line of lines) most = Math.max(most, line.toString().split(' ').length - 1);
  return most;
}
