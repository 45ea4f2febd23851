import { Writable } from 'node:stream';

/** Takes everything at once and keeps nothing. */
export function sink(): Writable {
  return new Writable({ highWaterMark: 256 * 1024, write: (_chunk, _encoding, done) => done() });
}
