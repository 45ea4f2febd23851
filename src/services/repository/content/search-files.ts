import type { MessageShape } from '@bufbuild/protobuf';
import { invalidArgument, wrap } from '#base/gitaly-error';
import type { GoRegexp } from '#base/go/regexp/go-regexp';
import { lazyModule } from '#base/lazy-module';
import { contentMatches, MATCH_END, type MatchPart } from '#domain/search/content-matches';
import { filesByName } from '#domain/search/files-by-name';
import { readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { SearchFilesByContentResponseSchema } from '#wire/gen/repository_pb';
import type { Handlers } from '../dependencies.ts';

const MAX_FILTER_BYTES = 1000;

interface Query {
  readonly query: string;
  readonly ref: Uint8Array;
}

const DASH = 0x2d;

/** Checks a search. @throws {GitalyError} INVALID_ARGUMENT. */
function requireQuery({ query, ref }: Query): { readonly query: string; readonly ref: Buffer } {
  if (query === '') throw invalidArgument('no query given');
  if (ref.length === 0) throw invalidArgument('no ref given');
  if (ref[0] === DASH) throw invalidArgument('invalid ref argument');
  return { query, ref: Buffer.from(ref) };
}

/** Few calls have a filter. */
const loadRegexp = lazyModule(() => import('#base/go/regexp/go-regexp'));

/** Lists the files of a revision at or below a path, in one message. */
export const searchFilesByName: Handlers['searchFilesByName'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const query = requireQuery(request);
  const filter = await compileFilter(request.filter);
  const { offset, limit } = request;
  yield { files: await filesByName(repository, { ...query, filter, offset, limit }, context) };
};

/** @throws {GitalyError} INVALID_ARGUMENT `filter did not compile: error parsing regexp: …`. */
async function compileFilter(filter: string): Promise<GoRegexp | undefined> {
  if (Buffer.byteLength(filter) > MAX_FILTER_BYTES) throw invalidArgument('filter exceeds maximum length');
  if (filter === '') return undefined;
  const { GoRegexp } = await loadRegexp();
  try {
    return new GoRegexp(filter);
  } catch (error) {
    throw wrap(error, 'filter did not compile', 'INVALID_ARGUMENT');
  }
}

/** Searches the files of a revision. The data of a match is sent in parts, followed by its end. */
export const searchFilesByContent: Handlers['searchFilesByContent'] = async function* (
  request,
  context,
  deps,
) {
  const repository = deps.storages.open(request.repository);
  const query = requireQuery(request);
  const { signal, log } = context;
  for await (const parts of contentMatches(repository, query, { partBytes: MAX_CHUNK_BYTES, signal, log }))
    yield encodeMatches(parts);
};

const FIELDS = fieldNumbers(SearchFilesByContentResponseSchema, {
  matchData: 'bytes',
  endOfMatch: 'number',
});

const END = encodeWith((writer) => writer.number(FIELDS.endOfMatch, 1));

/**
 * Returns one message that represents a message per part. A search finds thousands of short
 * matches, and to send a message costs more than to encode one.
 */
function encodeMatches(parts: readonly MatchPart[]): MessageShape<typeof SearchFilesByContentResponseSchema> {
  const messages = parts.map((part) =>
    part === MATCH_END ? END : encodeWith((writer) => writer.bytes(FIELDS.matchData, part)),
  );
  return readyMessage(SearchFilesByContentResponseSchema, readyResponses(messages));
}
