import { garbageCollector } from './garbage-collector.ts';

/**
 * Bytes read between two collections of the young generation. Every read allocates memory outside
 * the heap. After 64 MB of it V8 runs a full collection, unless a cheap one has freed the memory
 * before.
 */
const COLLECT_EVERY_BYTES = 4 << 20;

let pendingBytes = 0;
let isOn = false;

/**
 * Lets {@link noteBulkBytes} collect in this process. Only our own programs call this, at their
 * start: the garbage collector of an application that imports the client or embeds a server is
 * the application's.
 */
export function collectAfterBulkBytes(): void {
  isOn = true;
}

/**
 * Reports bulk bytes that were read from a socket or a pipe (not bytes that are only handed on).
 * Every 4 MiB it collects the young generation (well below a millisecond), where buffers that have
 * been handed on are garbage already. Does nothing before {@link collectAfterBulkBytes}.
 *
 * Without it a process that passes bulk bytes through spends most of its time in full collections:
 * see docs/decisions/0010-forced-garbage-collection.md.
 */
export function noteBulkBytes(bytes: number): void {
  if (!isOn) return;
  pendingBytes += bytes;
  if (pendingBytes < COLLECT_EVERY_BYTES) return;
  pendingBytes = 0;
  garbageCollector()({ type: 'minor' });
}
