import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { GitalyError } from '#base/gitaly-error';
import { encodeFrame } from './grpc-frame.ts';
import { IncomingFrames } from './incoming-frames.ts';

const LIMIT_BYTES = 300_000;
const REFUSED = new GitalyError('RESOURCE_EXHAUSTED', 'too much');
/** Does not become smaller. */
const MESSAGE = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * at * 31 + at) % 251));

function compressed(message: Buffer): Buffer {
  const frame = Buffer.concat(encodeFrame([gzipSync(message, { level: 0 })]));
  frame[0] = 1;
  return frame;
}

/** The messages of a stream, and the limits for all streams of a connection. */
function limited() {
  const turn = Promise.withResolvers<() => void>();
  const state = { heldBytes: 0 };
  const limits = {
    hold: (bytes: number): void => {
      if (bytes > 0 && state.heldBytes + bytes > LIMIT_BYTES) throw REFUSED;
      state.heldBytes += bytes;
    },
    decompressionTurn: () => turn.promise,
  };
  const streamOfCall = (): IncomingFrames => {
    const incoming = new IncomingFrames({ pause: () => {}, resume: () => {} }, 4 << 20, limits);
    incoming.encoding = 'gzip';
    return incoming;
  };
  return { state, streamOfCall, giveTurns: () => turn.resolve(() => {}) };
}

// They counted until they were whole: a client could have any number of them wait.
for (const isAwaited of [true, false]) {
  test(`messages that wait to be decompressed count, ${isAwaited ? '' : 'not '}awaited`, async () => {
    const { giveTurns, state, streamOfCall } = limited();
    const [first, second] = [streamOfCall(), streamOfCall()];
    const read = async (stream: IncomingFrames) => await stream.next();
    const early = isAwaited ? [read(first), read(second)] : [];

    first.receive(compressed(MESSAGE));
    second.receive(compressed(MESSAGE));
    const results = Promise.allSettled(isAwaited ? early : [read(first), read(second)]);
    const { heldBytes } = state;
    giveTurns();
    const [message, refused] = await results;

    assert.ok(heldBytes >= MESSAGE.length && heldBytes <= LIMIT_BYTES, `${heldBytes} bytes`);
    assert.ok(message?.status === 'fulfilled' && message.value?.equals(MESSAGE));
    assert.deepEqual(refused, { status: 'rejected', reason: REFUSED });
    second.discard();
    assert.equal(state.heldBytes, 0);
  });
}
