import { Writable } from 'node:stream';

/** Returns a Writable that accepts and drops all data at once. */
export function sink(): Writable {
  return new Writable({ highWaterMark: 256 * 1024, write: (_chunk, _encoding, done) => done() });
}
