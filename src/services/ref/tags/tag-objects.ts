import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import type { ObjectReader } from '#git/objects/object-reader';
import { parseTagInTurns } from '#git/objects/parse/parse-tag';
import { walkObjects } from '#git/objects/walk-objects';
import { requireRevisions } from '#services/convert/request/revision';
import { chunkBatches } from '#services/convert/response/chunk-batches';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { Repository } from '#storage/repository';
import { fieldBytes } from '#wire/fast/fields';
import type { GetTagSignaturesResponse_TagSignatureSchema } from '#wire/gen/ref_pb';
import type { Handlers } from '../dependencies.ts';

type TagSignature = MessageInitShape<typeof GetTagSignaturesResponse_TagSignatureSchema> & {
  readonly $typeName?: never;
};

const BEGIN = '-----BEGIN';
const LF = 0x0a;

/**
 * Sends the tag objects that revisions lead to, each split into what was signed and the signature.
 * No mailmap: it would change what was signed.
 */
export const getTagSignatures: Handlers['getTagSignatures'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const revisions = await requireRevisions(request.tagRevisions);

  try {
    for await (const signatures of chunkBatches(signaturesOf(repository, revisions, signal), sizeOf))
      yield { signatures };
  } catch (error) {
    throw wrap(error, 'cat-file iterator stop');
  }
};

async function* signaturesOf(
  repository: Repository,
  revisions: readonly Buffer[],
  signal: AbortSignal,
): AsyncGenerator<TagSignature[], void> {
  const walk = (signal: AbortSignal) => walkObjects(repository, { revisions, type: 'tag', signal });
  for await (const found of repository.objects.readMany(walk, { signal })) {
    yield found.flatMap(({ object }) => (object === undefined ? [] : [splitTag(object.oid, object.data)]));
  }
}

/**
 * Splits a tag. The signature begins at the first line that looks like the beginning of one, at any
 * position, and loses one line feed at its end.
 */
function splitTag(tagId: string, data: Buffer): TagSignature {
  const begin = data.indexOf(BEGIN);
  if (begin <= 0) return { tagId, content: data };
  const end = data.at(-1) === LF ? data.length - 1 : data.length;
  return { tagId, signature: data.subarray(begin, end), content: data.subarray(0, begin) };
}

function sizeOf({ tagId, signature, content }: TagSignature): number {
  return [tagId, signature, content].reduce(
    (sum, field) => sum + (field === undefined ? 0 : fieldBytes(field.length)),
    0,
  );
}

/**
 * Sends the messages of tag objects, whole and as they are: for each its id as it was requested,
 * then its text in pieces.
 */
export const getTagMessages: Handlers['getTagMessages'] = async function* (request, { signal }, deps) {
  const { objects } = deps.storages.open(request.repository);

  for (const tagId of request.tagIds) {
    const message = await readMessage(objects, tagId, signal);
    yield { tagId };
    for (let start = 0; start < message.length; start += MAX_CHUNK_BYTES) {
      yield { message: message.subarray(start, start + MAX_CHUNK_BYTES) };
    }
  }
};

async function readMessage(objects: ObjectReader, revision: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const object = await objects.openObject(revision, { signal });
    if (object === undefined) throw new GitalyError('UNKNOWN', 'object not found');
    if (object.type !== 'tag') {
      if (object.data === undefined) object.stream.destroy();
      throw new GitalyError('UNKNOWN', `expected tag, got ${object.type}`);
    }
    const data = object.data ?? Buffer.concat(await Array.fromAsync(object.stream));
    return (await parseTagInTurns(object.oid, data)).message;
  } catch (error) {
    throw wrap(error, 'getting tag');
  }
}
