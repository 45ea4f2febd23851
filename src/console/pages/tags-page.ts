import { codeOf } from '#base/gitaly-error';
import { eachItem } from '#client/content/collect/each-item';
import { type Tag, tagOf } from '#client/repository/values';
import { FindAllTagsRequest_SortBy_Key as Key } from '#wire/gen/ref_pb';
import { SortDirection } from '#wire/gen/shared_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, table } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const MAX_TAGS = 500;

/** Lists tags, the latest first; by name if one has a date that git cannot read. */
export async function tagsPage(visit: RepositoryVisit): Promise<Page> {
  const { calls, connection, path, repository } = visit;
  const list = (key: Key): Promise<Tag[]> => {
    const request = {
      repository: repository.message,
      sortBy: { key, direction: SortDirection.DESCENDING },
      paginationParams: { limit: MAX_TAGS },
    };
    const responses = connection.ref.findAllTags(request, calls);
    return Array.fromAsync(
      eachItem(responses, (response) => response.tags),
      tagOf,
    );
  };
  const tags = await list(Key.CREATORDATE).catch(async (error: unknown) => {
    if (codeOf(error) !== 'INTERNAL') throw error;
    return await list(Key.REFNAME); // git cannot read the date of one
  });
  return {
    title: `Tags · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      tags: tags.map(({ commit, id, message, name }) => ({ name, id, commit: commit?.id ?? null, message })),
    },
    body: html`${frame(visit)}
<h2>Tags</h2>
${
  tags.length === 0
    ? html`<p>There are no tags.</p>`
    : table(
        ['Name', 'Message', 'Date'],
        tags.map((tag) => row(path, tag)),
      )
}
${tags.length === MAX_TAGS ? html`<p>Only ${MAX_TAGS} tags are shown.</p>` : undefined}`,
  };
}

function row(path: string, { commit, message, name, nameBytes, tagger }: Tag): readonly Part[] {
  // A name that is not UTF-8 cannot be in the query.
  const ref = Buffer.from(name).equals(nameBytes) ? `refs/tags/${name}` : (commit?.id ?? '');
  const date = tagger?.date ?? commit?.committer.date;
  const shown = commit ? link(repositoryAddress(path, 'files', { query: { ref } }), name) : name;
  return [shown, message.split('\n', 1), date && instant(date)];
}
