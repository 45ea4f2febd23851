import type { MessageShape } from '@bufbuild/protobuf';
import type { ListedRef } from '#git/refs/listed-ref';
import { encodedMessage } from '#wire/fast/encoded-message';
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
    at = writeHead(out, at, REFERENCES, referenceBytes(ref, peel));
    at = writeHead(out, at, NAME, ref.name.length);
    out.set(ref.name, at);
    at = writeId(out, at + ref.name.length, TARGET, ref.oid);
    if (peel && ref.peeledOid !== undefined) at = writeId(out, at, PEELED_TARGET, ref.peeledOid);
  }
  return encodedMessage(ListRefsResponseSchema, out);
}

function referenceBytes({ name, oid, peeledOid }: ListedRef, peel: boolean): number {
  return fieldBytes(name.length) + fieldBytes(oid.length) + (peel && peeledOid !== undefined ? fieldBytes(peeledOid.length) : 0);
}

/** Size of a field with a tag of one byte. */
function fieldBytes(length: number): number {
  let bytes = 2 + length;
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}

/** Ids are hex digits. */
function writeId(out: Buffer, at: number, tag: number, oid: string): number {
  const start = writeHead(out, at, tag, oid.length);
  return start + out.write(oid, start, 'latin1');
}

function writeHead(out: Buffer, at: number, tag: number, length: number): number {
  out[at] = tag;
  let position = at + 1;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) out[position++] = (rest & 0x7f) | 0x80;
  out[position++] = rest;
  return position;
}
