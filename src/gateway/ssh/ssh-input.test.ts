import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { parseInTurns } from './ssh-input.ts';
import type { Parse, SshClient } from './ssh-library.ts';

const CHUNK = Buffer.alloc(64 << 10, 'x');
/** The slowest parser takes less than a second; a busy machine may take much longer. */
const WITHIN_MS = 60_000;

/** Uses the event loop for a time. */
function work(ms: number): void {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; );
}

// A push of some megabytes stopped for good when the last piece of a rest was parsed quickly.
for (const [name, chunks, msOf] of [
  ['slow bytes', 20, (bytes: number) => bytes / 1600],
  // The end arrives while the rest waits, and ended the connection before the rest was parsed.
  ['slow bytes right before the end', 1, (bytes: number) => bytes / 1600],
  ['fast bytes', 20, () => 0],
  ['a slow piece now and then', 20, (_bytes: number, piece: number) => (piece % 5 === 0 ? 6 : 0)],
] as const) {
  test(`all that a client sends is parsed, with ${name}`, async () => {
    const received: Buffer[] = [];
    const parse: Parse = (chunk, start, end) => {
      received.push(Buffer.from(chunk.subarray(start, end)));
      work(msOf(end - start, received.length));
    };
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
    const [socket]: Socket[] = await once(server, 'connection');
    assert.ok(socket);
    // The part of the library that is replaced.
    const library = { _protocol: { parse } };
    parseInTurns(library as unknown as SshClient, socket);
    socket.on('data', (chunk: Buffer) => library._protocol.parse(chunk, 0, chunk.length));
    let isEnded = false;
    socket.on('end', () => {
      isEnded = true;
    });

    for (let sent = 0; sent < chunks; sent++) client.write(CHUNK);
    client.end();
    const parsed = (): number => received.reduce((sum, { length }) => sum + length, 0);
    const progress = () => `the end of the input, after ${parsed()} of ${chunks * CHUNK.length} bytes`;
    try {
      await until(() => isEnded, progress, WITHIN_MS);
    } finally {
      client.destroy();
      server.close();
    }

    assert.equal(parsed(), chunks * CHUNK.length);
  });
}
