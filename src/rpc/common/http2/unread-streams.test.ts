import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeServer, nodeServer, type OnStream } from '#testkit/servers/node-http2-server';
import { RecordedStream } from '#testkit/servers/raw-http2-server';
import { never, until } from '#testkit/until';

const MEBIBYTE = 1 << 20;
/** Of a server that sends more than one stream may. */
const MEMORY = { maxSessionMemory: 100 };
const LARGE = ['x-large', '1'];

const respond: OnStream = (stream, rawHeaders) => {
  stream.respond({ ':status': 200 });
  stream.end(rawHeaders.includes('x-large') ? Buffer.alloc(2 * MEBIBYTE) : 'short');
};

/** Makes requests whose responses are not read. */
function unread({ session }: NodeServer, count: number) {
  return Array.from({ length: count }, () => {
    const events = new RecordedStream();
    const stream = session.request({ path: '/a', pairs: LARGE }, events);
    stream.end([]);
    stream.pause();
    return { events, stream };
  });
}

// Clients of Praefect that stopped to read large responses stopped all reads of a node.
test('streams that nobody reads do not fill the window of the connection', async () => {
  await using server = await nodeServer(respond, MEMORY);
  const streams = unread(server, 20);
  const other = new RecordedStream();

  await until(() => streams.every(({ events }) => events.dataBytes === MEBIBYTE));
  server.session.request({ path: '/a', pairs: [] }, other).end([]);
  await until(() => other.events.includes('close'));
  assert.equal(other.data.toString(), 'short');

  for (const { stream } of streams) stream.resume();
  await until(() => streams.every(({ events }) => events.events.includes('close')));
  assert.ok(streams.every(({ events }) => events.dataBytes === 2 * MEBIBYTE));
});

test('streams that nobody reads have a limit together, and go on when they are read', async () => {
  await using server = await nodeServer(respond, MEMORY, 4 * MEBIBYTE);
  const streams = unread(server, 30);
  const received = (): number => streams.reduce((sum, { events }) => sum + events.dataBytes, 0);

  await until(() => received() >= 12 * MEBIBYTE); // the limit, and half of the window at least
  await never(() => received() > 21 * MEBIBYTE);

  for (const { stream } of streams) stream.resume();
  await until(() => streams.every(({ events }) => events.events.includes('close')));
  assert.equal(received(), 60 * MEBIBYTE);
});
