import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import { GitalyError, wrap } from '#base/gitaly-error';
import { mapAhead } from '#base/map-ahead';
import type { ObjectReader } from '#git/objects/object-reader';
import type { HandlerContext } from '#rpc/server/handler';
import {
  type CheckObjectsExistRequest,
  type CheckObjectsExistResponseSchema,
  CheckObjectsExistResponse_RevisionExistenceSchema as RevisionExistenceSchema,
} from '#wire/gen/commit_pb';
import { openRequests } from '../convert/first-request.ts';
import { requireRevision } from '../convert/revision.ts';
import type { CommitRooms } from './index.ts';

interface RevisionExistence {
  readonly name: Uint8Array;
  readonly exists: boolean;
}

const LOOK_AHEAD = 256;

/** Tells which revisions lead to an object. The answers to all requests are collected, and sent at 1 MiB and at the end. */
export async function* checkObjectsExist(
  requests: AsyncIterable<CheckObjectsExistRequest>,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof CheckObjectsExistResponseSchema>> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const { objects } = rooms.storages.open(first.repository);

  const answers = async function* () {
    yield* look(first, objects, context.signal);
    for await (const request of rest) yield* look(request, objects, context.signal);
  };
  const sizes = { sizeOf: size, upperBound: ({ name }: RevisionExistence) => name.length + 16 };
  for await (const revisions of chunkBySize(answers(), sizes)) yield { revisions };
}

/** Looks up the revisions of one request, which are all checked before. */
async function* look(
  { revisions }: CheckObjectsExistRequest,
  objects: ObjectReader,
  signal: AbortSignal,
): AsyncGenerator<RevisionExistence> {
  for (const name of revisions) requireRevision(name, { allowPathScoped: true, prefix: 'invalid revision: ' });
  try {
    yield* mapAhead(revisions, LOOK_AHEAD, async (name) => ({
      name,
      exists: (await objects.info(name, { signal })) !== undefined,
    }));
  } catch (error) {
    throw wrap(error, 'checking object existence: reading object info');
  }
}

function size(item: RevisionExistence): number {
  return toBinary(RevisionExistenceSchema, create(RevisionExistenceSchema, item)).length;
}
