import { insteadOf } from '#base/gitaly-error';
import { mapAhead } from '#base/streams/map-ahead';
import { eachItem } from '#client/content/collect/each-item';
import { branchOf, type Commit, commitOf, type Tag, tagOf } from '#client/repository/values';
import { ListRefsRequest_SortBy_Key as Key } from '#wire/gen/ref_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import { type NamedReference, pageOfReferences, referenceList } from './reference-list.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

/** Time for the counts of a page; those that take longer are left out. */
const COUNTING_MS = 150;
const MAX_COUNTING = 2;

interface ShownBranch {
  readonly branch: NamedReference;
  /** `undefined` if the branch leads to none. */
  readonly commit: Commit | undefined;
  readonly isDefault: boolean;
}

/** A branch with its numbers of commits, if they were counted in time. */
interface ComparedBranch extends ShownBranch {
  /** Commits that only the branch has. */
  readonly ahead?: number;
  /** Commits that only the default branch has. */
  readonly behind?: number;
}

/** Lists branches: the default branch first, then those with the latest commits. */
export async function branchesPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { path } = visit;
  const defaultBranch = await findDefault(visit);
  const order = { prefix: 'refs/heads/', key: Key.COMMITTERDATE, first: defaultBranch } as const;
  const list = await pageOfReferences(visit, order);
  const commits = await commitsOf(visit, list.shown);
  const shown = list.shown.map((branch) => ({
    branch,
    commit: commits.get(branch.oid),
    isDefault: branch.name === defaultBranch?.name,
  }));
  const compared = await compare(visit, shown, defaultBranch);
  const rows = wideTable(
    'List of branches',
    ['Name', 'Last commit', 'Date', 'Ahead', 'Behind'],
    compared.map((each) => row(path, each, defaultBranch?.name)),
  );
  return {
    title: `Branches · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, branches: compared.map(branchData), next: list.next ?? null },
    body: html`${frame(visit)}
<h2>Branches</h2>
${referenceList(visit, list, { kind: 'branches', rows })}`,
  };
}

async function findDefault({
  calls,
  connection,
  repository,
}: RepositoryVisit): Promise<NamedReference | undefined> {
  const name = await repository.defaultBranch(calls);
  if (name === undefined) return undefined;
  const request = { repository: repository.message, name: Buffer.from(name) };
  const found = (await connection.ref.findBranch(request, calls)).branch;
  const branch = found && branchOf(found);
  return branch && { name: branch.name, nameBytes: branch.nameBytes, oid: branch.commit.id };
}

async function commitsOf(
  { calls, connection, repository }: RepositoryVisit,
  branches: readonly NamedReference[],
): Promise<Map<string, Commit>> {
  const oid = [...new Set(branches.map((branch) => branch.oid))];
  const responses = connection.commit.listCommitsByOid({ repository: repository.message, oid }, calls);
  const found = new Map<string, Commit>();
  for await (const each of eachItem(responses, ({ commits }) => commits)) found.set(each.id, commitOf(each));
  return found;
}

/** Counts the commits of branches that the default branch lacks, and the other way round. */
async function compare(
  { calls, connection, repository: { message: repository } }: RepositoryVisit,
  shown: readonly ShownBranch[],
  defaultBranch: NamedReference | undefined,
): Promise<ComparedBranch[]> {
  const limit = AbortSignal.timeout(COUNTING_MS);
  const signal = AbortSignal.any([calls.signal, limit]);
  const from = Buffer.from(defaultBranch?.oid ?? '');
  const compareOne = async (each: ShownBranch): Promise<ComparedBranch> => {
    const { commit, isDefault } = each;
    if (isDefault || defaultBranch === undefined || commit === undefined || limit.aborted) return each;
    const request = { repository, from, to: Buffer.from(commit.id) };
    try {
      const found = await connection.commit.countDivergingCommits(request, { signal });
      return { ...each, ahead: found.rightCount, behind: found.leftCount };
    } catch (error) {
      if (!limit.aborted) throw error;
      return each;
    }
  };
  return await Array.fromAsync(mapAhead(shown, MAX_COUNTING, compareOne));
}

function branchData({ ahead, behind, branch, commit, isDefault }: ComparedBranch) {
  return {
    name: branch.name,
    isDefault,
    commit: branch.oid,
    date: commit?.committer.date ?? null,
    ahead: ahead ?? null,
    behind: behind ?? null,
  };
}

function row(
  path: string,
  { ahead, behind, branch, commit, isDefault }: ComparedBranch,
  defaultName: string | undefined,
): readonly Part[] {
  const { name, nameBytes, oid } = branch;
  // A name that is not UTF-8 cannot be in the query.
  const ref = Buffer.from(name).equals(nameBytes) ? `refs/heads/${name}` : oid;
  const shown = link(repositoryAddress(path, 'files', { query: { ref } }), name);
  return [
    isDefault ? [shown, html` <span class="note">default</span>`] : shown,
    commit && link(repositoryAddress(path, 'commit', { rest: oid }), commit.subject),
    commit && instant(commit.committer.date),
    ahead === undefined
      ? undefined
      : link(repositoryAddress(path, 'compare', { rest: `${defaultName}...${ref}` }), ahead),
    behind,
  ];
}

const MAX_READING = 16;

/** Lists tags, the latest first. */
export async function tagsPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { path } = visit;
  const list = await pageOfReferences(visit, { prefix: 'refs/tags/', key: Key.CREATORDATE });
  const found = await Array.fromAsync(mapAhead(list.shown, MAX_READING, (each) => readTag(visit, each)));
  const tags = found.filter((tag) => tag !== undefined);
  const rows = wideTable(
    'List of tags',
    ['Name', 'Message', 'Date'],
    tags.map((tag) => tagRow(path, tag)),
  );
  return {
    title: `Tags · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, tags: tags.map(tagData), next: list.next ?? null },
    body: html`${frame(visit)}
<h2>Tags</h2>
${referenceList(visit, list, { kind: 'tags', rows })}`,
  };
}

/** Reads a tag; `undefined` if it was removed meanwhile. */
async function readTag(
  { calls, connection, repository }: RepositoryVisit,
  { nameBytes: tagName }: NamedReference,
): Promise<Tag | undefined> {
  const found = connection.ref.findTag({ repository: repository.message, tagName }, calls);
  const { tag } = (await found.catch(insteadOf('NOT_FOUND', undefined))) ?? {};
  return tag && tagOf(tag);
}

function tagData({ commit, id, message, name }: Tag) {
  return { name, id, commit: commit?.id ?? null, message };
}

function tagRow(path: string, { commit, message, name, nameBytes, tagger }: Tag): readonly Part[] {
  // A name that is not UTF-8 cannot be in the query.
  const ref = Buffer.from(name).equals(nameBytes) ? `refs/tags/${name}` : (commit?.id ?? '');
  const date = tagger?.date ?? commit?.committer.date;
  const shown = commit ? link(repositoryAddress(path, 'files', { query: { ref } }), name) : name;
  return [shown, message.split('\n', 1), date && instant(date)];
}
