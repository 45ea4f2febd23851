import { Writable } from 'node:stream';

/**
 * Returns a Writable that accepts and drops all data at once.
 *
 * @param onBytes receives the number of bytes so far.
 */
export function sink(onBytes?: (total: number) => void): Writable {
  let total = 0;
  return new Writable({
    highWaterMark: 256 * 1024,
    write(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      onBytes?.(total);
      done();
    },
  });
}
