import type { MessageShape } from '@bufbuild/protobuf';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldTags } from '#wire/fast/field-numbers';
import { fieldBytes, writeAscii, writeBytes, writeNumber } from '#wire/fast/fields';
import { ListRefsResponse_ReferenceSchema, ListRefsResponseSchema } from '#wire/gen/ref_pb';

const { references: REFERENCES } = fieldTags(ListRefsResponseSchema, { references: 'message' });
const REFERENCE = fieldTags(ListRefsResponse_ReferenceSchema, {
  name: 'bytes',
  target: 'text',
  peeledTarget: 'text',
});

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
