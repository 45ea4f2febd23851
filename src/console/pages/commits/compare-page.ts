import { repositoryAddress } from '#console/console-route';
import { type Html, html } from '#console/html/html';
import { type ConsolePage, problemPage } from '#console/page';
import { findChosen } from '../find-chosen.ts';
import { naturalNumber } from '../page-number.ts';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { changesBetween, fileDiffs } from './changes.ts';
import { commitData, commitTable } from './commit-list.ts';
import { checkSignatures } from './signatures.ts';

const PAGE_SIZE = 50;
const MAX_REVISION = 1000;
const DOTS = '...';

/** Compares two revisions: the commits that only the second has, and their change of files. */
export async function comparePage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { calls, connection, path, query, repository } = visit;
  const [from, to] = revisionsOf(visit);
  if (to === '') return formPage(visit, [from, to]);
  const [left, right] = await Promise.all([from, to].map((name) => findChosen(visit, name)));
  if (left === undefined || right === undefined)
    return problemPage(404, 'Not found', `There is no branch, tag or commit “${left ? to : from}”.`);
  const revisions = [Buffer.from(left.id), Buffer.from(right.id)];
  const { base } = await connection.repository.findMergeBase(
    { repository: repository.message, revisions },
    calls,
  );
  const skip = naturalNumber(query.get('skip'));
  const options = { ...calls, limit: PAGE_SIZE + 1, skip };
  const [found, changes] = await Promise.all([
    Array.fromAsync(repository.log([right.id, `^${left.id}`], options)),
    changesBetween(visit, base === '' ? left.id : base, right.id),
  ]);
  const shown = found.slice(0, PAGE_SIZE);
  const checks = await checkSignatures(visit, shown);
  const rest = `${from}${DOTS}${to}`;
  const further = { skip: String(skip + PAGE_SIZE) };
  const next =
    found.length > PAGE_SIZE ? repositoryAddress(path, 'compare', { rest, query: further }) : undefined;
  return {
    title: `${from}${DOTS}${to} · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      from: left.id,
      to: right.id,
      mergeBase: base === '' ? null : base,
      commits: shown.map((each) => commitData(each, checks)),
      next: next ?? null,
      ...changes,
    },
    body: html`${frame(visit)}
${form(visit, [from, to])}
<h2>Commits of ${to} that ${from} lacks</h2>
${base === '' ? html`<p>The two have no commit in common: all files are compared.</p>` : undefined}
${shown.length === 0 ? html`<p>There are none.</p>` : commitTable(path, shown, checks)}
<nav class="pages" aria-label="Pages">${next && html`<a rel="next" href="${next}">Older</a>`}</nav>
${fileDiffs(changes)}`,
  };
}

/** Returns the two revisions: `a...b` of the address, or the fields of the form. */
function revisionsOf({ query, rest, revision }: RepositoryVisit): readonly [string, string] {
  const text = rest.toString();
  const at = text.indexOf(DOTS);
  const [from, to] =
    at === -1
      ? [query.get('from') ?? revision, query.get('to') ?? '']
      : [text.slice(0, at), text.slice(at + DOTS.length)];
  return [from.slice(0, MAX_REVISION), to.slice(0, MAX_REVISION)];
}

function formPage(visit: RepositoryVisit, revisions: readonly [string, string]): ConsolePage {
  return {
    title: `Compare · ${nameOf(visit.path)}`,
    section: 'repositories',
    data: { name: visit.path },
    body: html`${frame(visit)}
<h2>Compare two revisions</h2>
${form(visit, revisions)}`,
  };
}

function form({ path }: RepositoryVisit, [from, to]: readonly [string, string]): Html {
  return html`<form class="search" method="get" action="${repositoryAddress(path, 'compare')}">
<label for="from">From</label>
<input id="from" name="from" value="${from}" maxlength="${MAX_REVISION}" autocomplete="off" required>
<label for="to">to</label>
<input id="to" name="to" value="${to}" maxlength="${MAX_REVISION}" autocomplete="off" required>
<button>Compare</button>
</form>`;
}
