import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldTags } from '#wire/fast/field-numbers';
import { fieldBytes, writeAscii, writeBytes, writeNumber } from '#wire/fast/fields';
import { ListBlobsResponse_BlobSchema, ListBlobsResponseSchema } from '#wire/gen/blob_pb';
import type { BlobItem } from './blob-items.ts';

/**
 * Tags of `ListBlobsResponse` and of its `Blob`; those of `ListAllBlobsResponse` are the same,
 * without a path.
 */
const { blobs: BLOBS } = fieldTags(ListBlobsResponseSchema, { blobs: 'message' });
const TAG = fieldTags(ListBlobsResponse_BlobSchema, {
  oid: 'text',
  size: 'number',
  data: 'bytes',
  path: 'bytes',
});

/** Returns the size of the encoded message of an item, without its tag and length. */
export function itemBytes({ oid, size, data, path }: BlobItem): number {
  return bytesOf(oid) + (size === 0 ? 0 : 1 + largeNumberBytes(size)) + bytesOf(data) + bytesOf(path);
}

/**
 * Encodes a response. A list of thousands of small blobs spends most of its time here, so the code
 * writes the wire format directly.
 */
export function encodeBlobs<Desc extends DescMessage>(
  schema: Desc,
  items: readonly BlobItem[],
): MessageShape<Desc> {
  const sizes = items.map(itemBytes);
  const out = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + fieldBytes(size), 0));
  let at = 0;
  for (const [index, { oid, size, data, path }] of items.entries()) {
    at = writeNumber(out, at, BLOBS, sizes[index] ?? 0);
    if (oid !== '') at = writeAscii(out, at, TAG.oid, oid);
    if (size !== 0) at = writeLargeNumber(out, at, TAG.size, size);
    if (data.length > 0) at = writeBytes(out, at, TAG.data, data);
    if (path.length > 0) at = writeBytes(out, at, TAG.path, path);
  }
  return encodedMessage(schema, out);
}

/** Blobs may have more bytes than a 32-bit number can represent. */
function largeNumberBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

function writeLargeNumber(out: Buffer, at: number, tag: number, value: number): number {
  out[at] = tag;
  let position = at + 1;
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) out[position++] = (rest % 0x80) | 0x80;
  out[position++] = rest;
  return position;
}

function bytesOf({ length }: { readonly length: number }): number {
  return length === 0 ? 0 : fieldBytes(length);
}
