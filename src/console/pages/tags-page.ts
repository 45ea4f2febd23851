import { codeOf } from '#base/gitaly-error';
import { eachItem } from '#client/content/collect/each-item';
import { type Tag, tagOf } from '#client/repository/values';
import { FindAllTagsRequest_SortBy_Key as Key } from '#wire/gen/ref_pb';
import { SortDirection } from '#wire/gen/shared_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import { pageOfReferences, referenceList } from './reference-list.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

/** Lists tags, the latest first; by name if one has a date that git cannot read. */
export async function tagsPage(visit: RepositoryVisit): Promise<Page> {
  const { path } = visit;
  const list = await pageOfReferences(visit, tags(visit, Key.CREATORDATE)).catch(async (error: unknown) => {
    if (codeOf(error) !== 'INTERNAL') throw error;
    return await pageOfReferences(visit, tags(visit, Key.REFNAME)); // git cannot read the date of one
  });
  const rows = wideTable(
    'List of tags',
    ['Name', 'Message', 'Date'],
    list.shown.map((tag) => row(path, tag)),
  );
  return {
    title: `Tags · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, tags: list.shown.map(tagData), next: list.next ?? null },
    body: html`${frame(visit)}
<h2>Tags</h2>
${referenceList(visit, list, { kind: 'tags', rows })}`,
  };
}

async function* tags({ calls, connection, repository }: RepositoryVisit, key: Key): AsyncGenerator<Tag> {
  const sortBy = { key, direction: SortDirection.DESCENDING };
  const responses = connection.ref.findAllTags({ repository: repository.message, sortBy }, calls);
  for await (const tag of eachItem(responses, (response) => response.tags)) yield tagOf(tag);
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
