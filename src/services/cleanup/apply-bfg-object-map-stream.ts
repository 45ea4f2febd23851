import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/streams/chunk-by-size';
import { applyObjectMap, type RewrittenObject } from '#domain/cleanup/apply-object-map';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import { ApplyBfgObjectMapStreamResponse_EntrySchema } from '#wire/gen/cleanup_pb';
import { ObjectType } from '#wire/gen/shared_pb';
import type { Handlers } from './dependencies.ts';

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
export const applyBfgObjectMapStream: Handlers['applyBfgObjectMapStream'] = async function* (
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
