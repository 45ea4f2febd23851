import { repositoryAddress } from '../console-route.ts';
import { type Html, html } from '../html/html.ts';
import { naturalNumber } from './page-number.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const PAGE_SIZE = 100;
const MAX_SEARCH = 200;

/** The part of a list of references that a page shows. */
export interface ReferenceList<T> {
  /** The text that all names contain; empty for all. */
  readonly search: string;
  /** Number of references before the page. */
  readonly skip: number;
  readonly shown: readonly T[];
  /** Address of the next page. */
  readonly next: string | undefined;
}

/**
 * Reads the part of a list that the address of the page chooses: `search` for a part of the name,
 * ignoring case, and `skip`.
 */
export async function pageOfReferences<T extends { readonly name: string }>(
  { path, query, view }: RepositoryVisit,
  all: AsyncIterable<T>,
): Promise<ReferenceList<T>> {
  const search = (query.get('search') ?? '').slice(0, MAX_SEARCH);
  const skip = naturalNumber(query.get('skip'));
  const wanted = search.toLowerCase();
  const shown: T[] = [];
  let seen = 0;
  for await (const reference of all) {
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

/** Returns a list with its search and the links to other pages. */
export function referenceList<T>(
  { path, view }: RepositoryVisit,
  { next, search, shown, skip }: ReferenceList<T>,
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
