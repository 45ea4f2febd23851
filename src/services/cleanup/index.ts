import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { eachInTurn } from '#base/async/loop-turns';
import { invalidArgument } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { chunkBySize } from '#base/streams/chunk-by-size';
import { applyObjectMap, type RewrittenObject } from '#domain/cleanup/apply-object-map';
import { rewriteHistory as rewrite } from '#domain/cleanup/rewrite-history';
import { objectIdProblem } from '#git/names/object-id';
import { serveWith } from '#rpc/server/handler';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import {
  ApplyBfgObjectMapStreamResponse_EntrySchema,
  CleanupService,
  type RewriteHistoryRequest,
} from '#wire/gen/cleanup_pb';
import { ObjectType } from '#wire/gen/shared_pb';
import type { CleanupDependencies, Handlers } from './dependencies.ts';

/** Removing files and texts from the whole history of a repository. */
export function cleanupService(deps: CleanupDependencies) {
  return serveWith(CleanupService, deps, {
    applyBfgObjectMapStream,
    rewriteHistory,
  });
}

type Entry = MessageInitShape<typeof ApplyBfgObjectMapStreamResponse_EntrySchema>;

const TYPES: Readonly<Record<RewrittenObject['type'], ObjectType>> = {
  commit: ObjectType.COMMIT,
  tree: ObjectType.TREE,
  blob: ObjectType.BLOB,
  tag: ObjectType.TAG,
  unknown: ObjectType.UNKNOWN,
};

/**
 * Deletes internal references to rewritten commits, and returns the type of each rewritten object.
 */
const applyBfgObjectMapStream: Handlers['applyBfgObjectMapStream'] = async function* (
  requests,
  context,
  deps,
) {
  const opened = await openRequests(requests);
  const { first } = opened;
  const repository = deps.storages.open(first.repository);

  const options = { vote: deps.voteOf(context), signal: context.signal };
  const pieces = allBytesOf(opened, ({ objectMap }) => objectMap);
  const objects = applyObjectMap(repository, pieces, options);
  for await (const entries of chunkBySize(entriesOf(objects), { sizeOf })) yield { entries };
};

async function* entriesOf(objects: AsyncIterable<RewrittenObject>): AsyncGenerator<Entry> {
  for await (const { type, oldOid, newOid } of objects) yield { type: TYPES[type], oldOid, newOid };
}

function sizeOf(entry: Entry): number {
  const schema = ApplyBfgObjectMapStreamResponse_EntrySchema;
  return toBinary(schema, create(schema, entry)).length;
}

/** Memory for the ids and patterns of one call together. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Removes blobs and texts from all commits of a repository. */
const rewriteHistory: Handlers['rewriteHistory'] = async (requests, context, deps) => {
  const { first, rest } = await openRequests(requests, 'receiving initial request: EOF');
  const repository = deps.storages.open(first.repository);
  if (repository.objectFormat === 'sha256')
    throw invalidArgument('git-filter-repo does not support repositories using the SHA256 object format');

  const blobs: string[] = [];
  const redactions: Uint8Array[] = [];
  using held = new HeldBytes(MAX_BYTES, 'object IDs and redactions');
  const take = async (request: RewriteHistoryRequest): Promise<void> => {
    await eachInTurn(request.blobs, (oid) => {
      held.add(oid);
      blobs.push(checkId(oid));
    });
    await eachInTurn(request.redactions, (pattern) => {
      held.add(pattern);
      redactions.push(checkPattern(pattern));
    });
  };
  await take(first);
  for await (const request of rest) {
    if (request.repository !== undefined)
      throw invalidArgument('subsequent requests must not contain repository');
    await take(request);
  }
  if (blobs.length === 0 && redactions.length === 0)
    throw invalidArgument('no object IDs or text replacements specified');

  const hooks = deps.transactionHooks(context);
  await rewrite(repository, { blobs, redactions, hooks, signal: context.signal });
  return {};
};

function checkId(oid: string): string {
  const problem = objectIdProblem(Buffer.from(oid), 'sha1');
  if (problem !== undefined) throw invalidArgument(`validating object ID: ${problem}`);
  return oid;
}

/** The message does not contain the pattern, which is secret. */
function checkPattern(pattern: Uint8Array): Uint8Array {
  if (pattern.includes(0x0a)) throw invalidArgument('redaction pattern contains newline');
  return pattern;
}
