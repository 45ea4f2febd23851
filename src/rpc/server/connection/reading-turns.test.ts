import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { STREAMS_PER_TURN } from './connection-limits.ts';
import { ReadingTurns, TurnReader } from './reading-turns.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function opens(turns: ReadingTurns, reader: TurnReader, streams: number): void {
  for (let stream = 0; stream < streams; stream++) turns.onStream(reader);
}

test('connections with many streams in a turn go on one after the other', async () => {
  const turns = new ReadingTurns();
  const readers = [1, 2, 3].map(() => new TurnReader(new PassThrough()));
  const few = new TurnReader(new PassThrough());

  for (const reader of readers) opens(turns, reader, STREAMS_PER_TURN + 1);
  opens(turns, few, STREAMS_PER_TURN);

  const paused = (): boolean[] => [...readers, few].map(({ isPaused }) => isPaused);
  assert.deepEqual(paused(), [true, true, true, false]);
  await nextTurn();
  assert.deepEqual(paused(), [false, true, true, false]);
  await nextTurn();
  await nextTurn();
  assert.deepEqual(paused(), [false, false, false, false]);
});

test('streams of earlier turns do not count', async () => {
  const turns = new ReadingTurns();
  const reader = new TurnReader(new PassThrough());

  for (let turn = 0; turn < 5; turn++) {
    opens(turns, reader, STREAMS_PER_TURN);
    assert.equal(reader.isPaused, false);
    await nextTurn();
  }
});

test('a socket that another reader owns is read no further until it is resumed', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const client = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
  const [socket]: Socket[] = await once(server, 'connection');
  assert.ok(socket);
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  client.write('a');
  await once(socket, 'data');
  const reader = new TurnReader(socket);

  reader.pause();
  client.write('b');
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  const whilePaused = received;
  reader.resume();
  await once(socket, 'data');

  assert.deepEqual([whilePaused, received], [1, 2]);
  client.destroy();
  socket.destroy();
  reader.resume(); // does nothing
  server.close();
});
