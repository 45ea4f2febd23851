import { formatBytes } from '#base/format-bytes';
import { codeOf } from '#base/gitaly-error';
import { CONSOLE_PATH, repositoryAddress, withQuery } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { formatCount, instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import type { KnownRepositories, RepositoryCatalog } from '../repositories/repository-catalog.ts';
import {
  debtOf,
  type ListedRepository,
  type RepositoryFigures,
  SORT_KEYS,
  type SortKey,
} from '../repositories/repository-table.ts';
import type { Visit } from '../visit.ts';
import { naturalNumber } from './page-number.ts';

const PAGE_SIZE = 100;
/**
 * Repositories whose access is checked for a page, if not everybody may read all. Where a check
 * needs no other service, a hundred thousand are checked within the time.
 */
const MAX_CHECKED = 1000;
const MAX_CHECKING_MS = 500;
const MAX_SEARCH = 200;
/** Limits of the wait for the first walk, and for figures: people see the rest later. */
const WAIT_MS = { page: { list: 50, figures: 30 }, json: { list: 20_000, figures: 5000 } } as const;
const ADDRESS = `${CONSOLE_PATH}/repositories`;
const SORT_NAMES: Readonly<Record<SortKey, string>> = {
  name: 'Name',
  pushed: 'Last push',
  size: 'Size',
  debt: 'Maintenance due',
  pool: 'Pool of forks',
};

/** Lists the repositories that the client may read. */
export async function repositoriesPage(visit: Visit, catalog: RepositoryCatalog): Promise<ConsolePage> {
  const search = (visit.query.get('search') ?? '').slice(0, MAX_SEARCH);
  const sort = SORT_KEYS.find((key) => key === visit.query.get('sort')) ?? 'name';
  const from = naturalNumber(visit.query.get('from'));
  const { signal } = visit;
  const waits = WAIT_MS[visit.isJson ? 'json' : 'page'];
  const list = await catalog.list({ signal, waitMs: waits.list });
  const isMeasured = list.table.measured === list.table.size;
  if (sort !== 'name' && !isMeasured) await catalog.settle({ signal, waitMs: waits.figures });
  const { checked, hasMore, rows: found } = await readable(visit, list, { search, sort, from });
  // The rows of an incomplete list are replaced soon.
  const rows = list.isComplete
    ? await catalog.measure(list.table, found, { signal, waitMs: waits.figures })
    : found;
  const next = hasMore ? withQuery(ADDRESS, { search, sort, from: String(from + checked) }) : undefined;
  const progress = progressOf(list, visit.access.isOpen);
  const isFinal = list.isComplete && isMeasured;
  return {
    title: 'Repositories',
    section: 'repositories',
    isLive: !isFinal,
    data: { repositories: rows.map(dataOf), next: next ?? null, ...progress },
    body: html`<h1>Repositories</h1>
<form class="search" method="get" action="${ADDRESS}" role="search" data-search>
<label for="search">Search</label>
<input id="search" name="search" type="search" value="${search}" maxlength="${MAX_SEARCH}" autocomplete="off">
<label for="sort">Sort by</label>
<select id="sort" name="sort">${SORT_KEYS.map((key) => sortOption(key, sort))}</select>
<button>Search</button>
</form>
<div id="results" aria-live="polite" data-refresh>
${note(progress)}
${rowsTable(rows, { search, sort, isComplete: list.isComplete })}
<nav class="pages" aria-label="Pages">
${from > 0 ? html`<a href="${withQuery(ADDRESS, { search, sort })}">First page</a>` : undefined}
${next === undefined ? undefined : html`<a rel="next" href="${next}">Next page</a>`}
</nav>
</div>`,
  };
}

/** Reports whether the client may read one of the repositories. */
export async function readsAny(visit: Visit, catalog: RepositoryCatalog): Promise<boolean> {
  const list = await catalog.list({ signal: visit.signal, waitMs: WAIT_MS.page.list });
  const { rows } = await readable(visit, list, { search: '', sort: 'name', from: 0, atMost: 1 });
  return rows.length > 0;
}

interface Progress {
  readonly isComplete: boolean;
  /** Numbers of all repositories, for those who may read all. */
  readonly total?: number;
  readonly measured?: number;
}

function progressOf({ isComplete, table: { measured, size } }: KnownRepositories, isOpen: boolean): Progress {
  return { isComplete, ...(isOpen && { total: size, measured }) };
}

function note({ isComplete, measured, total }: Progress): Html | undefined {
  if (!isComplete)
    return html`<p class="note">The list is being read. These are the repositories so far.</p>`;
  if (total === undefined || measured === undefined || total === 0) return undefined;
  const missing = measured < total ? html`, ${measured} of them measured so far` : undefined;
  return html`<p class="note">${total === 1 ? '1 repository' : `${total} repositories`}${missing}.</p>`;
}

function sortOption(key: SortKey, chosen: SortKey): Html {
  const selected = key === chosen ? html` selected` : undefined;
  return html`<option value="${key}"${selected}>${SORT_NAMES[key]}</option>`;
}

function rowsTable(
  rows: readonly ListedRepository[],
  {
    isComplete,
    search,
    sort,
  }: { readonly isComplete: boolean; readonly search: string; readonly sort: SortKey },
): Html | undefined {
  if (rows.length > 0) return wideTable('List of repositories', headings(search, sort), rows.map(row));
  if (!isComplete) return undefined;
  return search === ''
    ? html`<p>There are no repositories that you can read. A push to a new address creates one.</p>`
    : html`<p>No repository has “${search}” in its name.</p>`;
}

/** Returns links that sort, each the heading of its column. */
function headings(search: string, sort: SortKey): Part[] {
  return SORT_KEYS.map((key) =>
    key === sort ? SORT_NAMES[key] : link(withQuery(ADDRESS, { search, sort: key }), SORT_NAMES[key]),
  );
}

function dataOf({ changedMs, figures, name }: ListedRepository) {
  return {
    name,
    pushed: changedMs === 0 ? null : new Date(changedMs).toISOString(),
    bytes: figures?.bytes ?? null,
    debt: figures === undefined ? null : debtOf(figures),
    looseObjects: figures?.looseObjects ?? null,
    packfiles: figures?.packfiles ?? null,
    pool: figures?.pool ?? null,
  };
}

function row({ changedMs, figures, name }: ListedRepository): readonly Part[] {
  return [
    link(repositoryAddress(name, 'files'), name.replace(/\.git$/, '')),
    changedMs === 0 ? undefined : instant(new Date(changedMs)),
    figures && formatBytes(figures.bytes),
    figures && debtText(figures),
    figures?.pool,
  ];
}

function debtText(figures: RepositoryFigures): string {
  if (debtOf(figures) === 0) return 'nothing';
  return `${formatCount(figures.looseObjects, 'loose object')}, ${formatCount(figures.packfiles, 'pack')}`;
}

interface Wanted {
  readonly search: string;
  readonly sort: SortKey;
  /** Number of matches to skip. */
  readonly from: number;
  /** Number of rows; by default that of a page. */
  readonly atMost?: number;
}

/** Returns the rows of a page, and how many matches were looked at for them. */
async function readable(
  { access, signal }: Visit,
  { table: repositories }: KnownRepositories,
  { atMost = PAGE_SIZE, from, search, sort }: Wanted,
): Promise<{ rows: ListedRepository[]; checked: number; hasMore: boolean }> {
  const rows: ListedRepository[] = [];
  let checked = 0;
  const endMs = performance.now() + MAX_CHECKING_MS;
  for await (const repository of repositories.list({ search: search.toLowerCase(), sort, from, signal })) {
    const isEnough = checked >= MAX_CHECKED && performance.now() > endMs;
    if (rows.length === atMost || isEnough) return { rows, checked, hasMore: true };
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
