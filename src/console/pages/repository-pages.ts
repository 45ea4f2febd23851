import { codeOf } from '#base/gitaly-error';
import { Repository } from '#client/repository/repository';
import type { PageAnswer } from '#gateway/http/pages/page-source';
import { type ConsoleRoute, type RepositoryView, repositoryAddress } from '../console-route.ts';
import { type ConsolePage, cannotPost, notFound, problemPage } from '../page.ts';
import type { Visit } from '../visit.ts';
import { archivedPage } from './archived-page.ts';
import { commitPage } from './commits/commit-page.ts';
import { commitsPage } from './commits/commits-page.ts';
import { comparePage } from './commits/compare-page.ts';
import { archiveFile } from './files/archive-file.ts';
import { blamePage } from './files/blame-page.ts';
import { filesPage } from './files/files-page.ts';
import { lfsPage } from './files/lfs-page.ts';
import { rawFile } from './files/raw-file.ts';
import { searchPage } from './files/search-page.ts';
import { findChosen } from './find-chosen.ts';
import { pushesPage } from './pushes-page.ts';
import { branchesPage, tagsPage } from './reference-pages.ts';
import { emptyPage, nameOf } from './repository-frame.ts';
import type { RepositoryPagesOptions, RepositoryVisit } from './repository-visit.ts';
import { settingsPage } from './settings-page.ts';
import { maintain, storagePage } from './storage-page.ts';

/** Time limit of the calls of a page. */
const TIMEOUT_MS = 20_000;
const MAX_REVISION = 1000;
const HEAD = 'HEAD';

/** Pages of a repository that exists and has commits. */
const PAGES: Readonly<
  Record<
    Exclude<RepositoryView, 'archived' | 'settings'>,
    (visit: RepositoryVisit) => Promise<ConsolePage | PageAnswer>
  >
> = {
  files: filesPage,
  raw: rawFile,
  archive: archiveFile,
  blame: blamePage,
  commits: commitsPage,
  commit: commitPage,
  compare: comparePage,
  branches: branchesPage,
  tags: tagsPage,
  pushes: pushesPage,
  search: searchPage,
  lfs: lfsPage,
  storage: storagePage,
};

type RepositoryRoute = Extract<ConsoleRoute, { readonly kind: 'repository' }>;

/**
 * Returns a page of a repository, also if its directory does not end in `.git`, as the gateways
 * serve it.
 *
 * @param route its path ends in `.git`.
 * @throws errors of the calls, except those that mean that the page does not exist.
 */
export async function repositoryPage(
  route: RepositoryRoute,
  visit: Visit,
  options: RepositoryPagesOptions,
): Promise<ConsolePage | PageAnswer> {
  const page = await pageOf(route, visit, options);
  const path = nameOf(route.path);
  // A path that still has the suffix is that of another repository, with its own rights.
  if (page !== undefined || path.endsWith('.git')) return page ?? notFound();
  return (await pageOf({ ...route, path }, visit, options)) ?? notFound();
}

/** Returns a page; `undefined` if there is no such repository. @throws as {@link repositoryPage}. */
async function pageOf(
  route: RepositoryRoute,
  visit: Visit,
  options: RepositoryPagesOptions,
): Promise<ConsolePage | PageAnswer | undefined> {
  const { connection, storage } = options;
  const { path, rest, view } = route;
  const repository = new Repository(connection, { storage, path });
  const calls = { signal: visit.signal, timeoutMs: TIMEOUT_MS };
  try {
    const place = { ...visit, ...options, repository, path, view, calls };
    if (view === 'settings') return await settingsPage(place);
    if (view === 'archived') return await archivedPage(place);
    const revision = await revisionOf(visit, repository, calls);
    if (revision === undefined) {
      return (await repository.exists(calls)) ? emptyPage({ ...visit, ...options, path }) : undefined;
    }
    const commit = await findChosen(place, view === 'commit' ? rest : revision);
    if (commit === undefined) return noRevision();
    const whole = { ...place, rest, revision, commit };
    if (!visit.isPost) return await PAGES[view](whole);
    if (view !== 'storage') return cannotPost();
    if (!(await visit.access.mayWriteAt(path))) return problemPage(403, 'Refused', 'You may not write here.');
    await maintain(whole);
    return { ...noRevision(), location: repositoryAddress(path, 'storage', { query: { maintained: '1' } }) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'NOT_FOUND') return undefined;
    if (code === 'INVALID_ARGUMENT') return noRevision();
    throw error;
  }
}

function noRevision(): ConsolePage {
  return problemPage(404, 'Not found', 'There is no such branch, tag, commit or file.');
}

/** Returns the chosen revision, the default branch or a detached HEAD; `undefined` without any. */
async function revisionOf(
  { query }: Visit,
  repository: Repository,
  calls: RepositoryVisit['calls'],
): Promise<string | undefined> {
  const chosen = query.get('ref') ?? '';
  if (chosen !== '') return chosen.slice(0, MAX_REVISION);
  const branch = await repository.defaultBranch(calls);
  return branch ?? ((await repository.findCommit(HEAD, calls)) && HEAD);
}
