import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SignalOption } from '#domain/revisions/commit-id-of';
import type { WikiPage, WikiVersion } from '#domain/wiki/wiki-pages';
import { takeBytes } from '#services/convert/request/take-bytes';
import { toCommitMessage } from '#services/convert/response/commit';
import type { Repository } from '#storage/repository';
import type { WikiPageSchema } from '#wire/gen/wiki_pb';

export type PageMessage = MessageInitShape<typeof WikiPageSchema>;

/** Returns the message that describes a page, without its text. */
export function toPageMessage(
  { path, format, name, urlPath }: WikiPage,
  { commit, isHistorical }: WikiVersion,
): PageMessage {
  return {
    version: { commit: toCommitMessage(commit), format },
    format,
    title: name,
    urlPath: urlPath.toString(),
    path,
    name,
    historical: isHistorical,
  };
}

/** Yields the messages with the text of a page: unchanged bytes, none for an empty page. */
export async function* textMessages(
  { objects }: Repository,
  { oid }: WikiPage,
  options: SignalOption,
): AsyncGenerator<PageMessage> {
  const blob = await objects.openObject(oid, options);
  if (blob === undefined) throw new Error('the text of a page is missing');
  for await (const rawData of takeBytes(blob.data === undefined ? blob.stream : [blob.data], blob.size))
    yield { rawData };
}
