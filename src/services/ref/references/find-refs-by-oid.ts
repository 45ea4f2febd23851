import { isUtf8 } from 'node:buffer';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldTags } from '#wire/fast/field-numbers';
import { fieldBytes, writeBytes } from '#wire/fast/fields';
import { FindRefsByOIDResponseSchema } from '#wire/gen/ref_pb';
import type { Handlers } from '../dependencies.ts';
import { pipelineError } from '../listing-error.ts';

const EVERYWHERE = ['refs/tags/', 'refs/heads/'];
const { refs: REFS } = fieldTags(FindRefsByOIDResponseSchema, { refs: 'text' });

/**
 * Lists the full names of the references that are, or peel to, an object; `limit` 0 means all. A
 * million of them are one message: each batch is encoded as it is found.
 */
export const findRefsByOID: Handlers['findRefsByOID'] = async (request, { signal }, deps) => {
  const { refs } = deps.storages.open(request.repository);
  if (request.oid === '') throw invalidArgument('empty Oid');

  const query = {
    patterns: request.refPatterns.length > 0 ? request.refPatterns : EVERYWHERE,
    pointsAt: [request.oid],
    ...(request.sortField !== '' && { sort: request.sortField }),
    ...(request.limit > 0 && { limit: request.limit }),
  };
  const pieces: Buffer[] = [];
  try {
    for await (const batch of refs.list(query, { signal })) pieces.push(encodeNames(batch));
  } catch (error) {
    throw pipelineError(error);
  }
  return encodedMessage(FindRefsByOIDResponseSchema, pieces);
};

/** Encodes names for a text field, which cannot hold other bytes. */
function encodeNames(refs: readonly ListedRef[]): Buffer {
  let bytes = 0;
  for (const { name } of refs) {
    if (!isUtf8(name))
      throw new GitalyError('INTERNAL', 'grpc: error while marshaling: string field contains invalid UTF-8');
    bytes += fieldBytes(name.length);
  }
  const out = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const { name } of refs) at = writeBytes(out, at, REFS, name);
  return out;
}
