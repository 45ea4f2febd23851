import { literalPattern } from '#client/content/literal-pattern';
import { repositoryAddress } from '#console/console-route';
import { type Html, html } from '#console/html/html';
import type { ConsolePage } from '#console/page';
import { naturalNumber } from '../page-number.ts';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { searchText } from '../search-text.ts';
import { commitData, commitTable } from './commit-list.ts';
import { revisionChooser } from './revision-chooser.ts';
import { checkSignatures } from './signatures.ts';

const PAGE_SIZE = 50;
const MAX_FILTER = 200;

/** Lists commits of a revision, or those of an author or that change a file, the latest first. */
export async function commitsPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { calls, commit, path, query, repository, rest, revision } = visit;
  const skip = naturalNumber(query.get('skip'));
  const author = searchText(query.get('author'), MAX_FILTER);
  const paths = rest.length === 0 ? [] : [rest];
  const by = author === '' ? {} : { author: literalPattern(author) };
  const options = { ...calls, limit: PAGE_SIZE + 1, skip, paths, ...by };
  const found = await Array.fromAsync(repository.log(commit.id, options));
  const shown = found.slice(0, PAGE_SIZE);
  const checks = await checkSignatures(visit, shown);
  const further = { ref: revision, author, skip: String(skip + PAGE_SIZE) };
  const next =
    found.length > PAGE_SIZE ? repositoryAddress(path, 'commits', { rest, query: further }) : undefined;
  return {
    title: `Commits · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      revision,
      commits: shown.map((each) => commitData(each, checks)),
      next: next ?? null,
    },
    body: html`${frame(visit)}
${await revisionChooser(visit, 'commits')}
${authorForm(visit, author)}
<h2>Commits of ${revision}${rest.length === 0 ? undefined : html` that change ${rest.toString()}`}</h2>
${shown.length === 0 ? html`<p>There are no such commits.</p>` : commitTable(path, shown, checks)}
<nav class="pages" aria-label="Pages">${next && html`<a rel="next" href="${next}">Older</a>`}</nav>`,
  };
}

function authorForm({ path, rest, revision }: RepositoryVisit, author: string): Html {
  const action = repositoryAddress(path, 'commits', { rest });
  return html`<form class="search" method="get" action="${action}" role="search">
<input type="hidden" name="ref" value="${revision}">
<label for="author">Author</label>
<input id="author" name="author" type="search" value="${author}" maxlength="${MAX_FILTER}" autocomplete="off">
<button>Filter</button>
</form>`;
}
