import { findText, type TextMatch } from '#client/content/find-text';
import { repositoryAddress } from '#console/console-route';
import { codeFrame, link } from '#console/html/elements';
import { formatCount } from '#console/html/format';
import { type Html, html } from '#console/html/html';
import type { ConsolePage } from '#console/page';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { searchText } from '../search-text.ts';

const MAX_QUERY = 200;

/** Searches for a text in the files of a revision, ignoring case. */
export async function searchPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { calls, commit, connection, path, query, repository, revision } = visit;
  const text = searchText(query.get('q'), MAX_QUERY).trim();
  const { isCut, matches } =
    text === ''
      ? { isCut: false, matches: [] }
      : await findText({ connection, repository: repository.message }, { revision: commit.id, text }, calls);
  return {
    title: `Search · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      revision,
      query: text,
      matches: matches.map((match) => ({ ...match, path: match.path.toString() })),
      isCut,
    },
    body: html`${frame(visit)}
<form class="search" method="get" action="${repositoryAddress(path, 'search')}" role="search">
<input type="hidden" name="ref" value="${revision}">
<label for="q">Search the files of ${revision}</label>
<input id="q" name="q" type="search" value="${text}" maxlength="${MAX_QUERY}" autocomplete="off">
<button>Search</button>
</form>
${text === '' ? undefined : results(visit, matches, isCut)}`,
  };
}

function results({ path, revision }: RepositoryVisit, matches: readonly TextMatch[], isCut: boolean): Html {
  if (matches.length === 0) return html`<p>No file contains this text.</p>`;
  return html`<h2>${formatCount(matches.length, 'place')}</h2>
${matches.map(({ firstLine, lines, path: file }) => {
  const name = file.toString();
  const address = repositoryAddress(path, 'files', { rest: file, query: { ref: revision } });
  const numbers = lines.map((_, index) => firstLine + index).join('\n');
  return html`<h3>${link(address, name)}</h3>
${codeFrame(`${name} from line ${firstLine}`, lines.join('\n'), numbers)}`;
})}
${isCut ? html`<p>There are more. Search for a longer text, or use git grep.</p>` : undefined}`;
}
