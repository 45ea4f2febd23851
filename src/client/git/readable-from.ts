import { Readable } from 'node:stream';
import { isError } from '#base/is-error';
import type { ResponseStream } from '../call/call-types.ts';
import { WRITE_BUFFER_BYTES } from './write-buffer.ts';

/**
 * Returns the bytes of a call's responses as a stream with back-pressure:
 * `readableFrom(connection.diff.rawDiff(…), ({ data }) => data)`. Destroying the stream cancels the
 * call, even while the server is silent. An error of the call is the stream's error.
 */
export function readableFrom<O>(call: ResponseStream<O>, bytesOf: (response: O) => Uint8Array): Readable {
  return readableOf(call[Symbol.asyncIterator](), { bytesOf, cancel: (reason) => call.cancel(reason) });
}

/**
 * Returns a stream like `readableFrom`, from an iterator whose beginning may have been read
 * already.
 */
export function readableOf<O>(
  responses: AsyncIterator<O>,
  { bytesOf, cancel }: { bytesOf: (response: O) => Uint8Array; cancel: (reason: unknown) => void },
): Readable {
  const pull = async (stream: Readable) => {
    try {
      for (;;) {
        const result = await responses.next();
        const bytes = result.done === true ? null : bytesOf(result.value);
        if (bytes?.byteLength === 0) continue;
        stream.push(bytes);
        return;
      }
    } catch (error) {
      stream.destroy(isError(error) ? error : new Error(String(error)));
    }
  };
  return new Readable({
    highWaterMark: WRITE_BUFFER_BYTES,
    read() {
      void pull(this);
    },
    destroy(error, done) {
      cancel(error ?? undefined);
      done(error);
    },
  });
}
