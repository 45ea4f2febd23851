import { insteadOf } from '#base/gitaly-error';
import { mapAhead } from '#base/streams/map-ahead';
import { type Tag, tagOf } from '#client/repository/values';
import { ListRefsRequest_SortBy_Key as Key } from '#wire/gen/ref_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import { type NamedReference, pageOfReferences, referenceList } from './reference-list.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

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
    tags.map((tag) => row(path, tag)),
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

function row(path: string, { commit, message, name, nameBytes, tagger }: Tag): readonly Part[] {
  // A name that is not UTF-8 cannot be in the query.
  const ref = Buffer.from(name).equals(nameBytes) ? `refs/tags/${name}` : (commit?.id ?? '');
  const date = tagger?.date ?? commit?.committer.date;
  const shown = commit ? link(repositoryAddress(path, 'files', { query: { ref } }), name) : name;
  return [shown, message.split('\n', 1), date && instant(date)];
}
