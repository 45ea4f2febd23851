import type { MessageShape } from '@bufbuild/protobuf';
import type { ListedRef } from '#git/refs/listed-ref';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldBytes, writeAscii, writeBytes, writeNumber } from '#wire/fast/fields';
import { ListRefsResponseSchema } from '#wire/gen/ref_pb';

/** Tags of the length-delimited fields: `ListRefsResponse.references`, and `name`, `target`, `peeled_target` of a reference. */
const REFERENCES = 0x0a;
const NAME = 0x0a;
const TARGET = 0x12;
const PEELED_TARGET = 0x1a;

/** A response with references and nothing else. Lists of hundreds of thousands spend most of their time here, so it is done by hand. */
export function encodeReferences(refs: readonly ListedRef[], peel: boolean): MessageShape<typeof ListRefsResponseSchema> {
  let bytes = 0;
  for (const ref of refs) bytes += fieldBytes(referenceBytes(ref, peel));
  const out = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const ref of refs) {
    at = writeNumber(out, at, REFERENCES, referenceBytes(ref, peel));
    at = writeBytes(out, at, NAME, ref.name);
    at = writeAscii(out, at, TARGET, ref.oid);
    if (peel && ref.peeledOid !== undefined) at = writeAscii(out, at, PEELED_TARGET, ref.peeledOid);
  }
  return encodedMessage(ListRefsResponseSchema, out);
}

function referenceBytes({ name, oid, peeledOid }: ListedRef, peel: boolean): number {
  return fieldBytes(name.length) + fieldBytes(oid.length) + (peel && peeledOid !== undefined ? fieldBytes(peeledOid.length) : 0);
}
