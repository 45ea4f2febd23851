import { eachItem } from '#client/content/collect/each-item';
import { type RepositoryView, repositoryAddress } from '#console/console-route';
import { type Html, html } from '#console/html/html';
import type { PlainVisit, RepositoryVisit } from '../repository-visit.ts';

/** Number of suggested branches, and of tags. Other names can be typed. */
const MAX_SUGGESTED = 100;
const PREFIX = /^refs\/(?:heads|tags)\//;

/** Returns a form that shows the same path at another branch, tag or commit. */
export async function revisionChooser(visit: RepositoryVisit, view: RepositoryView): Promise<Html> {
  const { path, rest, revision } = visit;
  const names = (
    await Promise.all(['refs/heads/', 'refs/tags/'].map((kind) => referenceNamesOf(visit, kind)))
  ).flat();
  const options = names.map((name) => html`<option value="${name.replace(PREFIX, '')}"></option>`);
  return html`<form class="search" method="get" action="${repositoryAddress(path, view, { rest })}">
<label for="ref">Branch, tag or commit</label>
<input id="ref" name="ref" list="refs" value="${revision.replace(PREFIX, '')}" autocomplete="off" required>
<datalist id="refs">${options}</datalist>
<button>Show</button>
</form>`;
}

/** Returns some names of references, to suggest them; those that are not UTF-8 cannot be in an address, and are left out. */
export async function referenceNamesOf(
  { calls, connection, repository }: PlainVisit,
  kind: string,
): Promise<string[]> {
  const request = {
    repository: repository.message,
    patterns: [Buffer.from(kind)],
    paginationParams: { limit: MAX_SUGGESTED },
  };
  const names: string[] = [];
  for await (const { name } of eachItem(
    connection.ref.listRefs(request, calls),
    ({ references }) => references,
  )) {
    const text = Buffer.from(name).toString();
    if (Buffer.from(text).equals(name)) names.push(text);
  }
  return names;
}
