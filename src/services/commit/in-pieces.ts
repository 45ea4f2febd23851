import { MAX_CHUNK_BYTES } from '../convert/stream-responses.ts';

/** Bytes in pieces that fit a message, views of the same memory; no bytes, no piece. */
export function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) yield bytes.subarray(start, start + MAX_CHUNK_BYTES);
}
