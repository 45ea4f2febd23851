import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionPair, sessionWithRawPeer, settle } from '#testkit/clients/raw-yamux-peer';
import { fc } from '#testkit/fast-check';
import { encodeHeader, FRAME_TYPE } from './frame.ts';

/** Fixed, so that a failure can be reproduced; fast-check prints the failing input. */
const SEED = 20_240_601;
const WINDOW_BYTES = 256 * 1024;

/** Nearly valid frames: small ids, real types and flags, and sometimes random values. */
const frame = fc.record({
  type: fc.oneof({ arbitrary: fc.nat(3), weight: 20 }, { arbitrary: fc.nat(255), weight: 1 }),
  flags: fc.oneof(
    { arbitrary: fc.constantFrom(0, 0, 1, 2, 4, 8), weight: 10 },
    { arbitrary: fc.nat(0xffff), weight: 1 },
  ),
  id: fc.oneof({ arbitrary: fc.nat(8), weight: 20 }, { arbitrary: fc.nat(0xffff_ffff), weight: 1 }),
  length: fc.oneof({ arbitrary: fc.nat(3000), weight: 20 }, { arbitrary: fc.nat(0xffff_ffff), weight: 1 }),
});

const garbage = fc.uint8Array({ maxLength: 2000 });

async function feed(bytes: Buffer, role: 'client' | 'server'): Promise<void> {
  const { session, peer } = sessionWithRawPeer({ role, acceptBacklog: 2, streamCloseTimeoutMs: 1 });
  const own = await session.open();
  own.write('x');
  void (async () => {
    for await (const stream of session) if (stream.id % 4 < 2) stream.resume();
  })();

  peer.connection.write(bytes);
  await settle();

  assert.ok(session.streamCount <= 1 + bytes.length / 12);
  assert.ok(own.readableLength <= WINDOW_BYTES);
  if (session.isEnded) assert.equal(session.streamCount, 0);
  session.destroy();
  await session.closed;
  own.resume(); // data that came with a FIN may be read after the end
  await settle();
  assert.equal(own.destroyed, true);
}

for (const role of ['client', 'server'] as const) {
  test(`as ${role}, random bytes at most end the session`, async () => {
    const property = fc.asyncProperty(garbage, (bytes) => feed(Buffer.from(bytes), role));
    await fc.assert(property, { numRuns: 150, seed: SEED });
  });

  test(`as ${role}, any sequence of nearly valid frames at most ends the session`, async () => {
    const property = fc.asyncProperty(fc.array(frame, { maxLength: 40 }), (frames) => {
      const bytes = frames.map(({ type, flags, id, length }) =>
        Buffer.concat([
          encodeHeader(type, flags, id, length),
          type === FRAME_TYPE.data ? Buffer.alloc(Math.min(length, 3000)) : Buffer.alloc(0),
        ]),
      );
      return feed(Buffer.concat(bytes), role);
    });
    await fc.assert(property, { numRuns: 400, seed: SEED });
  });
}

test('any traffic between two sessions arrives as it was sent', async () => {
  const writes = fc.array(fc.nat(90_000), { maxLength: 8 });
  const property = fc.asyncProperty(fc.array(writes, { minLength: 1, maxLength: 6 }), async (streams) => {
    const { client, server } = sessionPair({}, { maxStreamWindowBytes: 300_000 });
    void (async () => {
      for await (const stream of server) stream.pipe(stream);
    })();

    await Promise.all(
      streams.map(async (sizes, index) => {
        const stream = await client.open();
        const sent = sizes.map((size) => Buffer.alloc(size, index + size));
        for (const chunk of sent) stream.write(chunk);
        stream.end();
        const received: Buffer[] = [];
        for await (const chunk of stream) received.push(chunk);
        assert.ok(Buffer.concat(received).equals(Buffer.concat(sent)));
      }),
    );

    assert.equal(client.streamCount, 0);
    await client.close();
    await server.closed;
    assert.equal(server.error, undefined);
  });
  await fc.assert(property, { numRuns: 60, seed: SEED });
});
