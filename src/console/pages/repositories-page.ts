import { codeOf } from '#base/gitaly-error';
import { CONSOLE_PATH, repositoryAddress, withQuery } from '../console-route.ts';
import { link, table } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import {
  type ListedRepository,
  type RepositoryCatalog,
  SORT_KEYS,
  type SortKey,
} from '../repositories/repository-catalog.ts';
import type { Visit } from '../visit.ts';
import { naturalNumber } from './page-number.ts';

const PAGE_SIZE = 100;
/** Repositories whose access is checked for a page, if not everybody may read all. */
const MAX_CHECKED = 1000;
const MAX_SEARCH = 200;
const ADDRESS = `${CONSOLE_PATH}/repositories`;
const SORT_NAMES: Readonly<Record<SortKey, string>> = { name: 'Name', changed: 'Last change' };

/** Lists the repositories that the client may read. */
export async function repositoriesPage(visit: Visit, catalog: RepositoryCatalog): Promise<Page> {
  const search = (visit.query.get('search') ?? '').slice(0, MAX_SEARCH);
  const sort = SORT_KEYS.find((key) => key === visit.query.get('sort')) ?? 'name';
  const from = naturalNumber(visit.query.get('from'));
  const { checked, hasMore, rows } = await readable(visit, catalog, { search, sort, from });
  const next = hasMore ? withQuery(ADDRESS, { search, sort, from: String(from + checked) }) : undefined;
  return {
    title: 'Repositories',
    section: 'repositories',
    data: {
      repositories: rows.map(({ name, changedMs }) => ({
        name,
        changed: changedMs === 0 ? null : new Date(changedMs).toISOString(),
      })),
      next: next ?? null,
    },
    body: html`<h1>Repositories</h1>
<form class="search" method="get" action="${ADDRESS}" role="search" data-search>
<label for="search">Search</label>
<input id="search" name="search" type="search" value="${search}" maxlength="${MAX_SEARCH}" autocomplete="off">
<label for="sort">Sort by</label>
<select id="sort" name="sort">${SORT_KEYS.map((key) => sortOption(key, sort))}</select>
<button>Search</button>
</form>
<div id="results" aria-live="polite">
${list(rows, search)}
<nav class="pages" aria-label="Pages">
${from > 0 ? html`<a href="${withQuery(ADDRESS, { search, sort })}">First page</a>` : undefined}
${next === undefined ? undefined : html`<a rel="next" href="${next}">Next page</a>`}
</nav>
</div>`,
  };
}

function sortOption(key: SortKey, chosen: SortKey): Html {
  const selected = key === chosen ? html` selected` : undefined;
  return html`<option value="${key}"${selected}>${SORT_NAMES[key]}</option>`;
}

function list(rows: readonly ListedRepository[], search: string): Html {
  if (rows.length === 0)
    return search === ''
      ? html`<p>There are no repositories that you can read. A push to a new address creates one.</p>`
      : html`<p>No repository has “${search}” in its name.</p>`;
  return table(['Name', 'Last change'], rows.map(row));
}

function row({ name, changedMs }: ListedRepository): readonly Part[] {
  const shown = link(repositoryAddress(name, 'files'), name.replace(/\.git$/, ''));
  return [shown, changedMs === 0 ? undefined : instant(new Date(changedMs))];
}

interface Wanted {
  readonly search: string;
  readonly sort: SortKey;
  /** Number of matches to skip. */
  readonly from: number;
}

/** Returns the rows of a page, and how many matches were looked at for them. */
async function readable(
  { access, signal }: Visit,
  catalog: RepositoryCatalog,
  { from, search, sort }: Wanted,
): Promise<{ rows: ListedRepository[]; checked: number; hasMore: boolean }> {
  const rows: ListedRepository[] = [];
  let position = 0;
  let checked = 0;
  for await (const repository of catalog.find(search.toLowerCase(), sort, signal)) {
    if (position++ < from) continue;
    if (rows.length === PAGE_SIZE || checked === MAX_CHECKED) return { rows, checked, hasMore: true };
    checked++;
    if (access.isOpen || (await mayRead(repository, access))) rows.push(repository);
  }
  return { rows, checked, hasMore: false };
}

async function mayRead({ name }: ListedRepository, access: Visit['access']): Promise<boolean> {
  try {
    return (await access.refusalAt(name)) === undefined;
  } catch (error) {
    if (codeOf(error) === 'RESOURCE_EXHAUSTED') throw error;
    return false;
  }
}
