import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { encodeHeader, FRAME_TYPE } from './frame.ts';
import { FrameParser } from './frame-parser.ts';

interface Found {
  type: number;
  flags: number;
  streamId: number;
  length: number;
  payload: string;
  isWhole: boolean;
}

function parse(chunks: readonly Buffer[]): Found[] {
  const found: Found[] = [];
  const parser = new FrameParser({
    frame: (type, flags, streamId, length) => {
      found.push({
        type,
        flags,
        streamId,
        length,
        payload: '',
        isWhole: type !== FRAME_TYPE.data || length === 0,
      });
    },
    payload: (piece, isLast) => {
      const frame = found.at(-1);
      assert.ok(frame !== undefined && !frame.isWhole, 'payload belongs to a data frame that is not whole');
      frame.payload += piece.toString('latin1');
      frame.isWhole = isLast;
    },
  });
  for (const chunk of chunks) parser.write(chunk);
  return found;
}

const frames = fc.array(
  fc.record({
    type: fc.constantFrom(...Object.values(FRAME_TYPE)),
    flags: fc.nat(15),
    streamId: fc.nat(0xffff_ffff),
    value: fc.nat(0xffff_ffff),
    payload: fc.uint8Array({ maxLength: 60 }),
  }),
  { maxLength: 12 },
);

test('frames are parsed wherever the bytes are split', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(40), { minLength: 1, maxLength: 40 }), (sent, cuts) => {
      const bytes = Buffer.concat(
        sent.flatMap(({ type, flags, streamId, value, payload }) =>
          type === FRAME_TYPE.data
            ? [encodeHeader(type, flags, streamId, payload.length), payload]
            : [encodeHeader(type, flags, streamId, value)],
        ),
      );
      const chunks: Buffer[] = [];
      for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
        const size = Math.max(1, cuts[cut % cuts.length] ?? 1);
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }

      assert.deepEqual(
        parse(chunks),
        sent.map(({ type, flags, streamId, value, payload }) => ({
          type,
          flags,
          streamId,
          length: type === FRAME_TYPE.data ? payload.length : value,
          payload: type === FRAME_TYPE.data ? Buffer.from(payload).toString('latin1') : '',
          isWhole: true,
        })),
      );
    }),
    { numRuns: 300 },
  );
});

test('payload is a view of the input', () => {
  const chunk = Buffer.concat([encodeHeader(FRAME_TYPE.data, 0, 1, 5), Buffer.from('hello')]);
  const pieces: Buffer[] = [];

  new FrameParser({ frame: () => {}, payload: (piece) => pieces.push(piece) }).write(chunk);

  assert.equal(pieces[0]?.buffer, chunk.buffer);
});

for (const [name, bytes] of [
  ['version', [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ['type', [0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
] as const) {
  test(`an unknown ${name} is refused`, () => {
    assert.throws(() => parse([Buffer.from(bytes)]), { name: 'YamuxError', reason: 'protocol' });
  });
}
