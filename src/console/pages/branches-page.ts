import { mapAhead } from '#base/streams/map-ahead';
import { listBranches } from '#client/repository/branches';
import { type Branch, branchOf } from '#client/repository/values';
import { FindLocalBranchesRequest_SortBy as SortBy } from '#wire/gen/ref_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import { pageOfReferences, referenceList } from './reference-list.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

/** Time for the counts of a page; those that take longer are left out. */
const COUNTING_MS = 150;
const MAX_COUNTING = 4;

/** A branch with its numbers of commits, if they were counted in time. */
interface ComparedBranch {
  readonly branch: Branch;
  readonly isDefault: boolean;
  /** Commits that only the branch has. */
  readonly ahead?: number;
  /** Commits that only the default branch has. */
  readonly behind?: number;
}

/** Lists branches: the default branch first, then those with the latest commits. */
export async function branchesPage(visit: RepositoryVisit): Promise<Page> {
  const { path } = visit;
  const defaultBranch = await findDefault(visit);
  const list = await pageOfReferences(visit, branches(visit, defaultBranch));
  const compared = await compare(visit, list.shown, defaultBranch);
  const rows = wideTable(
    'List of branches',
    ['Name', 'Last commit', 'Date', 'Ahead', 'Behind'],
    compared.map((each) => row(path, each, defaultBranch?.name)),
  );
  return {
    title: `Branches · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, branches: compared.map(branchData), next: list.next ?? null },
    body: html`${frame(visit)}
<h2>Branches</h2>
${referenceList(visit, list, { kind: 'branches', rows })}`,
  };
}

async function findDefault({ calls, connection, repository }: RepositoryVisit): Promise<Branch | undefined> {
  const name = await repository.defaultBranch(calls);
  if (name === undefined) return undefined;
  const request = { repository: repository.message, name: Buffer.from(name) };
  const { branch } = await connection.ref.findBranch(request, calls);
  return branch && branchOf(branch);
}

async function* branches(
  { calls, connection, repository: { message: repository } }: RepositoryVisit,
  defaultBranch: Branch | undefined,
): AsyncGenerator<Branch> {
  if (defaultBranch !== undefined) yield defaultBranch;
  for await (const branch of listBranches(connection, { repository, sortBy: SortBy.UPDATED_DESC }, calls))
    if (branch.name !== defaultBranch?.name) yield branch;
}

/** Counts the commits of branches that the default branch lacks, and the other way round. */
async function compare(
  { calls, connection, repository: { message: repository } }: RepositoryVisit,
  shown: readonly Branch[],
  defaultBranch: Branch | undefined,
): Promise<ComparedBranch[]> {
  const limit = AbortSignal.timeout(COUNTING_MS);
  const signal = AbortSignal.any([calls.signal, limit]);
  const from = Buffer.from(defaultBranch?.commit.id ?? '');
  const compareOne = async (branch: Branch): Promise<ComparedBranch> => {
    const isDefault = branch.name === defaultBranch?.name;
    if (isDefault || defaultBranch === undefined || limit.aborted) return { branch, isDefault };
    const request = { repository, from, to: Buffer.from(branch.commit.id) };
    try {
      const found = await connection.commit.countDivergingCommits(request, { signal });
      return { branch, isDefault, ahead: found.rightCount, behind: found.leftCount };
    } catch (error) {
      if (!limit.aborted) throw error;
      return { branch, isDefault };
    }
  };
  return await Array.fromAsync(mapAhead(shown, MAX_COUNTING, compareOne));
}

function branchData({ ahead, behind, branch, isDefault }: ComparedBranch) {
  const { commit, name } = branch;
  return {
    name,
    isDefault,
    commit: commit.id,
    date: commit.committer.date,
    ahead: ahead ?? null,
    behind: behind ?? null,
  };
}

function row(
  path: string,
  { ahead, behind, branch, isDefault }: ComparedBranch,
  defaultName: string | undefined,
): readonly Part[] {
  const { commit, name, nameBytes } = branch;
  // A name that is not UTF-8 cannot be in the query.
  const ref = Buffer.from(name).equals(nameBytes) ? `refs/heads/${name}` : commit.id;
  const shown = link(repositoryAddress(path, 'files', { query: { ref } }), name);
  return [
    isDefault ? [shown, html` <span class="note">default</span>`] : shown,
    link(repositoryAddress(path, 'commit', { rest: commit.id }), commit.subject),
    instant(commit.committer.date),
    ahead === undefined
      ? undefined
      : link(repositoryAddress(path, 'compare', { rest: `${defaultName}...${ref}` }), ahead),
    behind,
  ];
}
