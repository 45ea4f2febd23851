import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { walkObjects } from '#git/objects/walk-objects';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { requireRevisions } from '#services/convert/request/revision';
import { chunkBatches } from '#services/convert/response/chunk-batches';
import type { Repository } from '#storage/repository';
import { fieldBytes } from '#wire/fast/fields';
import type {
  GetTagSignaturesRequest,
  GetTagSignaturesResponse_TagSignatureSchema,
  GetTagSignaturesResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

type TagSignature = MessageInitShape<typeof GetTagSignaturesResponse_TagSignatureSchema> & {
  readonly $typeName?: never;
};

const BEGIN = '-----BEGIN';
const LF = 0x0a;

/**
 * Sends the tag objects that revisions lead to, each split into what was signed and the signature.
 * No mailmap: it would change what was signed.
 */
export async function* getTagSignatures(
  request: GetTagSignaturesRequest,
  { signal }: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof GetTagSignaturesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const revisions = await requireRevisions(request.tagRevisions);

  try {
    for await (const signatures of chunkBatches(signaturesOf(repository, revisions, signal), sizeOf))
      yield { signatures };
  } catch (error) {
    throw wrap(error, 'cat-file iterator stop');
  }
}

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
