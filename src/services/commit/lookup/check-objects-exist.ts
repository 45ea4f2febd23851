import { eachInTurn } from '#base/async/loop-turns';
import { wrap } from '#base/gitaly-error';
import { mapAhead } from '#base/streams/map-ahead';
import type { ObjectReader } from '#git/objects/object-reader';
import { openRequests } from '#services/convert/request/first-request';
import { requireRevision } from '#services/convert/request/revision';
import { chunkMessages } from '#services/convert/response/chunk-messages';
import {
  type CheckObjectsExistRequest,
  CheckObjectsExistResponse_RevisionExistenceSchema as RevisionExistenceSchema,
} from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';

interface RevisionExistence {
  readonly name: Uint8Array;
  readonly exists: boolean;
}

const LOOK_AHEAD = 256;

/**
 * Reports which revisions resolve to an object. The results of all requests are collected, and sent
 * at 1 MiB and at the end.
 */
export const checkObjectsExist: Handlers['checkObjectsExist'] = async function* (requests, context, deps) {
  const { first, rest } = await openRequests(requests);
  const { objects } = deps.storages.open(first.repository);

  const answers = lookAll(first, rest, objects, context.signal);
  const upperBound = ({ name }: RevisionExistence) => name.length + 16;
  for await (const revisions of chunkMessages(RevisionExistenceSchema, answers, upperBound))
    yield { revisions };
};

async function* lookAll(
  first: CheckObjectsExistRequest,
  rest: AsyncIterable<CheckObjectsExistRequest>,
  objects: ObjectReader,
  signal: AbortSignal,
): AsyncGenerator<RevisionExistence> {
  yield* look(first, objects, signal);
  for await (const request of rest) yield* look(request, objects, signal);
}

/** Looks up the revisions of one request, after checking all of them. */
async function* look(
  { revisions }: CheckObjectsExistRequest,
  objects: ObjectReader,
  signal: AbortSignal,
): AsyncGenerator<RevisionExistence> {
  const rules = { allowPathScoped: true, prefix: 'invalid revision: ' };
  await eachInTurn(revisions, (name) => void requireRevision(name, rules), signal);
  try {
    yield* mapAhead(revisions, LOOK_AHEAD, async (name) => ({
      name,
      exists: (await objects.info(name, { signal })) !== undefined,
    }));
  } catch (error) {
    throw wrap(error, 'checking object existence: reading object info');
  }
}
