import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Bytes that may come in between two collections of the young generation. Every read allocates its own memory outside of the heap;
 * V8 answers 64 MB of that with a full collection, unless a cheap one has freed it before.
 */
const COLLECT_EVERY_BYTES = 4 << 20;

let pendingBytes = 0;
let collect: (() => void) | undefined;

/**
 * To be told of bulk bytes that were read from a socket or a pipe (not of bytes that are only handed on). Once in a while it
 * collects the young generation (well below a millisecond), where buffers that have been handed on are garbage already.
 *
 * Without it a process that passes bulk bytes through spends most of its time in full collections, as many as one per 30 MB and each
 * as long as the heap is large. Measured with 128 KiB messages received over gRPC: 1,200 us of CPU per MB without, 400 with, and
 * 50 MB less memory.
 */
export function noteBulkBytes(bytes: number): void {
  pendingBytes += bytes;
  if (pendingBytes < COLLECT_EVERY_BYTES) return;
  pendingBytes = 0;
  collect ??= youngCollector();
  collect();
}

/** V8 hands its collector only to contexts that are made after the flag was set. */
function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function' ? () => gc({ type: 'minor' }) : () => {};
}
