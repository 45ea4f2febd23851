import type { EventEmitter } from 'node:events';

/**
 * Resolves when a socket closes, in whatever way: a peer that leaves data unread resets the
 * connection, and `once` of `node:events` would reject with that error.
 */
export function closed(socket: EventEmitter): Promise<void> {
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
