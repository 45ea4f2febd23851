import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { tagReference } from '#domain/revisions/reference-names';
import { findTag as findFirstTag } from '#domain/tag/find-tag';
import { type RefTag, readRefTags } from '#git/refs/list/read-ref-objects';
import { usesMailmap } from '#services/convert/request/feature-flags';
import {
  cutPage,
  itemsOf,
  MissingPageTokenError,
  type PageBounds,
  pageOf,
} from '#services/convert/request/pagination';
import { chunkEncoded } from '#services/convert/response/chunk-batches';
import { encodeTag } from '#services/convert/response/encode-commit';
import { type TagMessage, toTagMessage } from '#services/convert/response/tag';
import type { Repository } from '#storage/repository';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import {
  type FindAllTagsRequest_SortBy,
  FindAllTagsRequest_SortBy_Key,
  FindAllTagsRequestSchema,
  FindAllTagsResponseSchema,
  FindTagErrorSchema,
} from '#wire/gen/ref_pb';
import type { Handlers } from '../dependencies.ts';
import { pipelineError, startList } from '../listing-error.ts';
import { sortKey } from '../sort-key.ts';

type Response = MessageInitShape<typeof FindAllTagsResponseSchema>;

const { tags: TAGS } = fieldNumbers(FindAllTagsResponseSchema, { tags: 'message' });
const NAMESPACE = 'refs/tags/';

const KEYS: Readonly<Record<number, string>> = {
  [FindAllTagsRequest_SortBy_Key.REFNAME]: 'refname',
  [FindAllTagsRequest_SortBy_Key.CREATORDATE]: 'creatordate',
  [FindAllTagsRequest_SortBy_Key.VERSION_REFNAME]: 'version:refname',
};

/**
 * Lists tags with their commits, in messages of about 1 MiB. A tag of another object has no commit.
 */
export const findAllTags: Handlers['findAllTags'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const sort = sortOf(request.sortBy);
  const page = pageOf(request.paginationParams);
  const mailmap = usesMailmap(context);

  yield* deps.lists.get({
    repository,
    input: FindAllTagsRequestSchema,
    output: FindAllTagsResponseSchema,
    request,
    variant: mailmap ? 'mailmap' : '',
    log: context.log,
    produce: () => readTags(repository, { sort, page, mailmap, signal: context.signal }),
  });
};

interface TagOptions {
  readonly sort: string;
  readonly page: PageBounds;
  readonly mailmap: boolean;
  readonly signal: AbortSignal;
}

async function* readTags(
  { refs, objects }: Repository,
  { sort, page, mailmap, signal }: TagOptions,
): AsyncGenerator<Response> {
  try {
    const list = startList(() => refs.list({ patterns: [NAMESPACE], sort }, { signal }));
    const tags = readRefTags(objects, itemsOf(cutPage(list, page)), { mailmap, signal });
    for await (const chunk of chunkEncoded(encodeTags(tags))) yield responseOf(chunk);
  } catch (error) {
    if (error instanceof MissingPageTokenError) throw invalidArgument(error.message, { cause: error });
    throw wrap(pipelineError(error), 'iterating over tags');
  }
}

function sortOf(sortBy: FindAllTagsRequest_SortBy | undefined): string {
  const { key = FindAllTagsRequest_SortBy_Key.REFNAME, direction = 0 } = sortBy ?? {};
  const name = KEYS[key];
  const sort = sortKey(name ?? '', direction);
  if (sort === undefined) throw invalidArgument(`unsupported sorting direction: ${direction}`);
  if (name === undefined) throw invalidArgument(`unsupported sorting key: ${key}`);
  return sort;
}

async function* encodeTags(batches: AsyncIterable<readonly RefTag[]>): AsyncGenerator<Buffer[], void> {
  const encode = (tag: RefTag): Buffer => encodeWith((writer) => encodeTag(writer, toMessage(tag)));
  for await (const tags of batches) yield tags.map(encode);
}

/**
 * Hundreds of thousands of tags are encoded one by one as they come, so that a message is only a
 * matter of joining them.
 */
function responseOf(tags: readonly Buffer[]): MessageShape<typeof FindAllTagsResponseSchema> {
  const encoded = encodeWith((writer) => {
    for (const tag of tags.toReversed()) writer.bytes(TAGS, tag);
  });
  return encodedMessage(FindAllTagsResponseSchema, encoded);
}

/**
 * @throws {GitalyError} without a code if an object on the way to the end of the tag is missing.
 */
function toMessage({ ref, tag, commit, isMissing }: RefTag): TagMessage {
  if (isMissing)
    throw new GitalyError('UNKNOWN', 'object not found', { metadata: { reference: ref.name.toString() } });
  return toTagMessage({ name: ref.name.subarray(NAMESPACE.length), oid: ref.oid, tag, commit });
}

/**
 * Finds a tag by its name, which may be a pattern as for `git tag --list`: the first match is
 * returned.
 */
export const findTag: Handlers['findTag'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  if (request.tagName.length === 0) throw invalidArgument('tag name is empty');

  const { signal, log } = context;
  const options = { mailmap: usesMailmap(context), signal, log };
  const found = await findFirstTag(repository, Buffer.from(request.tagName), options);
  if (found === undefined) {
    const value = { referenceName: tagReference(request.tagName) };
    const details = [create(FindTagErrorSchema, { error: { case: 'tagNotFound', value } })];
    throw new GitalyError('NOT_FOUND', 'tag does not exist', { details });
  }
  const { ref, tag, commit } = found;
  return { tag: toTagMessage({ name: ref.name.subarray(NAMESPACE.length), oid: ref.oid, tag, commit }) };
};
