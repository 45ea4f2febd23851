import { listBranches } from '#client/repository/branches';
import type { Branch } from '#client/repository/values';
import { FindLocalBranchesRequest_SortBy as SortBy } from '#wire/gen/ref_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, table } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const MAX_BRANCHES = 500;

/** Lists branches, those with the latest commits first. */
export async function branchesPage(visit: RepositoryVisit): Promise<Page> {
  const { calls, connection, path, repository } = visit;
  const branches: Branch[] = [];
  const request = {
    repository: repository.message,
    sortBy: SortBy.UPDATED_DESC,
    paginationParams: { limit: MAX_BRANCHES },
  };
  for await (const branch of listBranches(connection, request, calls)) {
    branches.push(branch);
    if (branches.length === MAX_BRANCHES) break;
  }
  return {
    title: `Branches · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      branches: branches.map(({ commit, name }) => ({
        name,
        commit: commit.id,
        date: commit.committer.date,
      })),
    },
    body: html`${frame(visit)}
<h2>Branches</h2>
${table(
  ['Name', 'Last commit', 'Date'],
  branches.map((branch) => row(path, branch)),
)}
${branches.length === MAX_BRANCHES ? html`<p>Only ${MAX_BRANCHES} branches are shown.</p>` : undefined}`,
  };
}

function row(path: string, { commit, name, nameBytes }: Branch): readonly Part[] {
  // A name that is not UTF-8 cannot be in the query.
  const ref = Buffer.from(name).equals(nameBytes) ? `refs/heads/${name}` : commit.id;
  return [
    link(repositoryAddress(path, 'files', { query: { ref } }), name),
    link(repositoryAddress(path, 'commit', { rest: commit.id }), commit.subject),
    instant(commit.committer.date),
  ];
}
