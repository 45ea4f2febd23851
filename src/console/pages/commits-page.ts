import type { Commit } from '#client/repository/values';
import { repositoryAddress } from '../console-route.ts';
import { link, table } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import { naturalNumber } from './page-number.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const PAGE_SIZE = 50;

/** Lists commits of a revision, or those that change a file, the latest first. */
export async function commitsPage(visit: RepositoryVisit): Promise<Page> {
  const { calls, commit, path, query, repository, rest, revision } = visit;
  const skip = naturalNumber(query.get('skip'));
  const paths = rest.length === 0 ? [] : [rest];
  const options = { ...calls, limit: PAGE_SIZE + 1, skip, paths };
  const found = await Array.fromAsync(repository.log(commit.id, options));
  const shown = found.slice(0, PAGE_SIZE);
  const next =
    found.length > PAGE_SIZE
      ? repositoryAddress(path, 'commits', { rest, query: { ref: revision, skip: String(skip + PAGE_SIZE) } })
      : undefined;
  return {
    title: `Commits · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, revision, commits: shown.map(commitData), next: next ?? null },
    body: html`${frame(visit)}
<h2>Commits of ${revision}${rest.length === 0 ? undefined : html` that change ${rest.toString()}`}</h2>
${table(
  ['Commit', 'Subject', 'Author', 'Date'],
  shown.map((each) => row(path, each)),
)}
<nav class="pages" aria-label="Pages">${next && html`<a rel="next" href="${next}">Older</a>`}</nav>`,
  };
}

/** Returns the fields of a commit for the JSON form of a page. */
export function commitData({ author, committer, id, message, parents, subject }: Commit) {
  return { id, parents, subject, message, author, committer };
}

function row(path: string, { author, committer, id, subject }: Commit): readonly Part[] {
  const shortId = html`<code>${id.slice(0, 10)}</code>`;
  const address = repositoryAddress(path, 'commit', { rest: id });
  return [link(address, shortId), subject, author.name, instant(committer.date)];
}
