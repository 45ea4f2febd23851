import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import type { Commit } from '#git/objects/parse/parse-commit';
import { resolveTree } from '#git/trees/resolve-tree';
import { walkTree } from '#git/trees/walk-tree';
import type { Repository } from '#storage/repository';
import type { SignalOption } from '../revisions/commit-id-of.ts';
import { type PageNames, pageNamesOf, titleMatcher } from './page-names.ts';

/** A page of a wiki in one of its commits. */
export interface WikiPage extends PageNames {
  /** The blob with the page's text. */
  readonly oid: string;
}

/** The commit in which pages are looked up. */
export interface WikiVersion {
  readonly commit: Commit;
  /** The commit was requested; it need not be the newest one. */
  readonly isHistorical: boolean;
}

/**
 * Returns the commit of a revision, or that of the default branch if the revision is empty;
 * `undefined` if there is none.
 */
export async function findVersion(
  repository: Repository,
  revision: Uint8Array,
  { signal }: SignalOption,
): Promise<WikiVersion | undefined> {
  const isHistorical = revision.length > 0;
  const wanted = isHistorical ? revision : await repository.refs.defaultBranch({ signal });
  if (wanted === undefined) return undefined;
  const commit = await repository.objects.readCommit(wanted, { signal, mailmap: false });
  return commit && { commit, isHistorical };
}

/** Returns the first page with a title (see {@link titleMatcher}), in git's order of paths. */
export async function findPage(
  repository: Repository,
  { commit }: WikiVersion,
  title: { readonly title: Uint8Array; readonly directory: Uint8Array },
  options: SignalOption,
): Promise<WikiPage | undefined> {
  const hasTitle = titleMatcher(title.title, title.directory);
  for await (const page of allPages(repository, commit, options)) if (hasTitle(page)) return page;
  return undefined;
}

export interface PageOrder {
  /** `title` is git's order of paths; `created` that of the commits that added the files. */
  readonly by: 'title' | 'created';
  readonly isReversed: boolean;
  /** Number of pages; 0 for all. */
  readonly limit: number;
}

/** Yields the pages of a wiki without the parts of pages. */
export async function* listPages(
  repository: Repository,
  { commit }: WikiVersion,
  order: PageOrder,
  options: SignalOption,
): AsyncGenerator<WikiPage> {
  const limit = order.limit === 0 ? Number.POSITIVE_INFINITY : order.limit;
  let count = 0;
  for await (const page of orderedPages(repository, commit, order, options)) {
    yield page;
    count += 1;
    if (count >= limit) return;
  }
}

async function* orderedPages(
  repository: Repository,
  commit: Commit,
  { by, isReversed }: PageOrder,
  options: SignalOption,
): AsyncGenerator<WikiPage> {
  const pages = listedPages(repository, commit, options);
  if (by === 'title' && !isReversed) return yield* pages;
  const all = await Array.fromAsync(pages);
  if (by === 'created') {
    const places = await creationOrder(repository, commit, options);
    const placeOf = ({ path }: WikiPage): number => places.get(path.toString('latin1')) ?? places.size;
    all.sort((one, other) => placeOf(one) - placeOf(other));
  }
  yield* isReversed ? all.reverse() : all;
}

async function* listedPages(
  repository: Repository,
  commit: Commit,
  options: SignalOption,
): AsyncGenerator<WikiPage> {
  for await (const page of allPages(repository, commit, options)) if (!page.isSubPage) yield page;
}

async function* allPages(
  repository: Repository,
  { treeOid }: Commit,
  { signal }: SignalOption,
): AsyncGenerator<WikiPage> {
  const found = await resolveTree(repository, Buffer.from(treeOid), { signal });
  if (found.kind !== 'tree') throw new Error('the tree of a commit is missing');
  for await (const entries of walkTree(repository.objects, found.tree, { recursive: true, signal })) {
    for (const entry of entries) {
      const names = entry.kind === 'blob' ? pageNamesOf(entry.path) : undefined;
      if (names !== undefined) yield { ...names, oid: entry.oid };
    }
  }
}

/**
 * Returns the order in which the files of a commit were added, oldest first; for a file that was
 * removed and added again the last time counts. The history is followed along first parents, on
 * which each file of the commit has been added once.
 */
async function creationOrder(
  repository: Repository,
  { oid }: Commit,
  { signal }: SignalOption,
): Promise<Map<string, number>> {
  const flags = ['--reverse', '--first-parent', '-m', '--diff-filter=A', '--no-renames'];
  const format = ['--name-only', '--format=', '-z'];
  const options = [...flags, ...format].map((option) => flag(option));
  const log = gitCommand('log', { options, revisions: [oid] });
  const places = new Map<string, number>();
  let count = 0;
  for await (const paths of outputLines(repository, log, { signal, delimiter: 0 })) {
    for (const path of paths) {
      places.set(path.toString('latin1'), count);
      count += 1;
    }
  }
  return places;
}
