import { LoopSlice } from '#base/async/loop-turns';
import { codeOf } from '#base/gitaly-error';
import { ListRefsRequest_SortBy_Key as Key } from '#wire/gen/ref_pb';
import { SortDirection } from '#wire/gen/shared_pb';
import { repositoryAddress } from '../console-route.ts';
import { type Html, html } from '../html/html.ts';
import { naturalNumber } from './page-number.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const PAGE_SIZE = 100;
const MAX_SEARCH = 200;
/** Codes of a list that git cannot sort, because it cannot read a date. */
const UNREADABLE: ReadonlySet<string> = new Set(['INTERNAL', 'UNKNOWN']);

/** A reference by its name in a list, which has no `refs/heads/` or `refs/tags/`. */
export interface NamedReference {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly oid: string;
}

/** The part of a list of references that a page shows. */
export interface ReferenceList {
  /** The text that all names contain; empty for all. */
  readonly search: string;
  /** Number of references before the page. */
  readonly skip: number;
  readonly shown: readonly NamedReference[];
  /** Address of the next page. */
  readonly next: string | undefined;
}

interface ListOrder {
  readonly prefix: 'refs/heads/' | 'refs/tags/';
  /** The latest first; by name if git cannot read a date. */
  readonly key: Key;
  /** The reference before all others. */
  readonly first?: NamedReference | undefined;
}

/**
 * Reads the part of a list that the address of the page chooses: `search` for a part of the name,
 * ignoring case, and `skip`. Nothing is read about the others but their names.
 */
export async function pageOfReferences(visit: RepositoryVisit, order: ListOrder): Promise<ReferenceList> {
  const search = (visit.query.get('search') ?? '').slice(0, MAX_SEARCH);
  const part = { search, skip: naturalNumber(visit.query.get('skip')) };
  try {
    return await readPart(visit, order, part);
  } catch (error) {
    if (!UNREADABLE.has(codeOf(error) ?? '')) throw error;
    return await readPart(visit, { ...order, key: Key.REFNAME }, part);
  }
}

type ListPart = Pick<ReferenceList, 'search' | 'skip'>;

async function readPart(
  visit: RepositoryVisit,
  order: ListOrder,
  { search, skip }: ListPart,
): Promise<ReferenceList> {
  const { calls, path, view } = visit;
  const wanted = search.toLowerCase();
  // The first reference is in the list, too; one more shows that there is a next page.
  const limit = wanted === '' ? skip + PAGE_SIZE + 2 : undefined;
  const shown: NamedReference[] = [];
  const slice = new LoopSlice();
  let seen = 0;
  for await (const reference of references(visit, order, limit)) {
    if (slice.isOverAfterItem()) await slice.pause(calls.signal);
    if (wanted !== '' && !reference.name.toLowerCase().includes(wanted)) continue;
    if (seen++ < skip) continue;
    if (shown.length === PAGE_SIZE) {
      const further = { search, skip: String(skip + PAGE_SIZE) };
      return { search, skip, shown, next: repositoryAddress(path, view, { query: further }) };
    }
    shown.push(reference);
  }
  return { search, skip, shown, next: undefined };
}

async function* references(
  { calls, connection, repository }: RepositoryVisit,
  { first, key, prefix }: ListOrder,
  limit: number | undefined,
): AsyncGenerator<NamedReference> {
  if (first !== undefined) yield first;
  const request = {
    repository: repository.message,
    patterns: [Buffer.from(prefix)],
    sortBy: { key, direction: SortDirection.DESCENDING },
    ...(limit !== undefined && { paginationParams: { limit } }),
  };
  for await (const { references: listed } of connection.ref.listRefs(request, calls))
    for (const { name, target } of listed) {
      const nameBytes = Buffer.from(name).subarray(prefix.length);
      const reference = { name: nameBytes.toString(), nameBytes, oid: target };
      if (first?.nameBytes.equals(nameBytes) !== true) yield reference;
    }
}

/** Returns a list with its search and the links to other pages. */
export function referenceList(
  { path, view }: RepositoryVisit,
  { next, search, shown, skip }: ReferenceList,
  { kind, rows }: { readonly kind: 'branches' | 'tags'; readonly rows: Html },
): Html {
  const address = repositoryAddress(path, view);
  const first = repositoryAddress(path, view, { query: { search } });
  const none =
    search === '' ? html`<p>There are no ${kind}.</p>` : html`<p>No name contains “${search}”.</p>`;
  return html`<form class="search" method="get" action="${address}" role="search" data-search>
<label for="search">Search</label>
<input id="search" name="search" type="search" value="${search}" maxlength="${MAX_SEARCH}" autocomplete="off">
<button>Search</button>
</form>
<div id="results" aria-live="polite">
${shown.length === 0 ? none : rows}
<nav class="pages" aria-label="Pages">
${skip > 0 ? html`<a href="${first}">First page</a>` : undefined}
${next && html`<a rel="next" href="${next}">Next page</a>`}
</nav>
</div>`;
}
