import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/streams/chunk-by-size';
import { applyObjectMap, type RewrittenObject } from '#domain/cleanup/apply-object-map';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import {
  type ApplyBfgObjectMapStreamRequest,
  ApplyBfgObjectMapStreamResponse_EntrySchema,
  type ApplyBfgObjectMapStreamResponseSchema,
} from '#wire/gen/cleanup_pb';
import { ObjectType } from '#wire/gen/shared_pb';
import type { CleanupDependencies } from './dependencies.ts';

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
export async function* applyBfgObjectMapStream(
  requests: AsyncIterable<ApplyBfgObjectMapStreamRequest>,
  context: HandlerContext,
  deps: CleanupDependencies,
): ResponsesOf<typeof ApplyBfgObjectMapStreamResponseSchema> {
  const opened = await openRequests(requests);
  const { first } = opened;
  const repository = deps.storages.open(first.repository);

  const options = { vote: deps.voteOf(context), signal: context.signal };
  const pieces = allBytesOf(opened, ({ objectMap }) => objectMap);
  const objects = applyObjectMap(repository, pieces, options);
  for await (const entries of chunkBySize(entriesOf(objects), { sizeOf })) yield { entries };
}

async function* entriesOf(objects: AsyncIterable<RewrittenObject>): AsyncGenerator<Entry> {
  for await (const { type, oldOid, newOid } of objects) yield { type: TYPES[type], oldOid, newOid };
}

function sizeOf(entry: Entry): number {
  const schema = ApplyBfgObjectMapStreamResponse_EntrySchema;
  return toBinary(schema, create(schema, entry)).length;
}
