import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { invalidArgument } from '#base/gitaly-error';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { RefReader } from '#git/refs/ref-reader';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import {
  cutPage,
  decodeCursor,
  encodeCursor,
  inLines,
  type PageBounds,
  pageOf,
} from '#services/convert/request/pagination';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldTags } from '#wire/fast/field-numbers';
import { fieldBytes, writeAscii, writeBytes, writeNumber } from '#wire/fast/fields';
import {
  type ListRefsRequest,
  type ListRefsRequest_SortBy,
  ListRefsRequest_SortBy_Key,
  ListRefsRequestSchema,
  ListRefsResponse_ReferenceSchema,
  ListRefsResponseSchema,
} from '#wire/gen/ref_pb';
import type { PaginationParameter } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';
import { checkExcludes } from '../exclude-patterns.ts';
import { listingError, startList } from '../listing-error.ts';
import { sortKey } from '../sort-key.ts';

type Response = MessageInitShape<typeof ListRefsResponseSchema>;

const KEYS: Readonly<Record<number, string>> = {
  [ListRefsRequest_SortBy_Key.REFNAME]: 'refname',
  [ListRefsRequest_SortBy_Key.CREATORDATE]: 'creatordate',
  [ListRefsRequest_SortBy_Key.AUTHORDATE]: 'authordate',
  [ListRefsRequest_SortBy_Key.COMMITTERDATE]: 'committerdate',
};
const { references: REFERENCES } = fieldTags(ListRefsResponseSchema, { references: 'message' });
const REFERENCE = fieldTags(ListRefsResponse_ReferenceSchema, {
  name: 'bytes',
  target: 'text',
  peeledTarget: 'text',
});

/**
 * Lists references that match patterns, 20 in a message, HEAD before them if requested. The last
 * message has a cursor when the list goes on behind the page.
 */
export const listRefs: Handlers['listRefs'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  if (request.patterns.length === 0) throw invalidArgument('patterns must have at least one entry');
  const sort = sortOf(request.sortBy);
  await checkExcludes(request.excludePatterns, 'refs/');

  yield* deps.lists.get({
    repository,
    input: ListRefsRequestSchema,
    output: ListRefsResponseSchema,
    request,
    log: context.log,
    produce: () => readRefs(repository.refs, request, sort, context.signal),
  });
};

async function* readRefs(
  refs: RefReader,
  request: ListRefsRequest,
  sort: string,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const query: RefQuery = {
    patterns: request.patterns,
    exclude: request.excludePatterns,
    sort,
    ignoreCase: request.ignoreCase,
    pointsAt: request.pointingAtOids,
  };
  const list = startList(() => refs.list(query, { peel: request.peelTags, signal }));
  let head = request.head;
  try {
    const page = cutPage(list, pageOfRequest(request.paginationParams));
    for await (const { items, hasMore } of inLines(page)) {
      const line = head ? [...(await headOf(refs, signal)), ...items] : items;
      head = false;
      yield hasMore ? withCursor(line, request.peelTags) : encodeReferences(line, request.peelTags);
    }
  } catch (error) {
    throw listingError(error);
  }
}

function sortOf(sortBy: ListRefsRequest_SortBy | undefined): string {
  const { key = ListRefsRequest_SortBy_Key.REFNAME, direction = 0 } = sortBy ?? {};
  const name = KEYS[key];
  if (name === undefined) throw invalidArgument(`sorting key "${key}" is not supported`);
  const sort = sortKey(name, direction);
  if (sort === undefined) throw invalidArgument('sorting direction is not supported');
  return sort;
}

/** Returns the page of a request. Its token is a cursor of this server, or a plain name. */
function pageOfRequest(parameter: PaginationParameter | undefined): PageBounds {
  const page = pageOf(parameter);
  const name = decodeCursor(parameter?.pageToken ?? '')?.text('ref_name') ?? '';
  return name !== '' ? { ...page, after: Buffer.from(name) } : page;
}

async function headOf(refs: RefReader, signal: AbortSignal): Promise<ListedRef[]> {
  const head = await refs.resolve('HEAD', { signal });
  return head === undefined
    ? []
    : [{ name: Buffer.from('HEAD'), oid: head.oid, peeledOid: undefined, isPeelKnown: false }];
}

function withCursor(refs: readonly ListedRef[], peel: boolean): Response {
  return {
    references: refs.map(({ name, oid, peeledOid = '' }) => ({
      name,
      target: oid,
      peeledTarget: peel ? peeledOid : '',
    })),
    paginationCursor: { nextCursor: encodeCursor({ ref_name: refs.at(-1)?.name.toString() ?? '' }) },
  };
}

/**
 * Encodes a response with references and nothing else. Lists of hundreds of thousands spend most of
 * their time here, so the code writes the wire format directly.
 */
export function encodeReferences(
  refs: readonly ListedRef[],
  peel: boolean,
): MessageShape<typeof ListRefsResponseSchema> {
  let bytes = 0;
  for (const ref of refs) bytes += fieldBytes(referenceBytes(ref, peel));
  const out = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const ref of refs) {
    at = writeNumber(out, at, REFERENCES, referenceBytes(ref, peel));
    at = writeBytes(out, at, REFERENCE.name, ref.name);
    at = writeAscii(out, at, REFERENCE.target, ref.oid);
    if (peel && ref.peeledOid !== undefined) at = writeAscii(out, at, REFERENCE.peeledTarget, ref.peeledOid);
  }
  return encodedMessage(ListRefsResponseSchema, out);
}

function referenceBytes({ name, oid, peeledOid }: ListedRef, peel: boolean): number {
  return (
    fieldBytes(name.length) +
    fieldBytes(oid.length) +
    (peel && peeledOid !== undefined ? fieldBytes(peeledOid.length) : 0)
  );
}
