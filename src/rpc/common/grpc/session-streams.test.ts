import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Http2Session, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { createConnection } from 'node:net';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { type Bulky, oldBytesPerObject } from '#testkit/measure/old-generation';
import { keepStreamsBriefly } from './session-streams.ts';

/** The fields as Node uses them. */
interface State {
  readonly streams: Map<number, Bulky>;
  readonly pendingStreams: Set<Bulky>;
}

/**
 * Symptom: a quarter of the server's time was garbage collection, because calls that had ended were
 * moved to the old generation of the heap.
 */
test('streams that have ended are not kept alive by those that came later', (t) => {
  const { server, client, destroy } = sessions();
  t.after(destroy);
  assert.deepEqual([keepStreamsBriefly(server), keepStreamsBriefly(client)], [true, true]);
  const { streams, pendingStreams } = stateOf(server);

  const open = oldBytesPerObject((stream) => {
    streams.set(stream.id, stream);
    return () => streams.delete(stream.id);
  });
  const pending = oldBytesPerObject((stream) => {
    pendingStreams.add(stream);
    return () => pendingStreams.delete(stream);
  });

  // The tables of a map remain, which are small. With Node's map and set it is more than 500.
  assert.ok(open < 200, `${open} bytes of each open stream`);
  assert.ok(pending < 200, `${pending} bytes of each pending stream`);
});

test('sessions find, end and forget their streams', async () => {
  const { server, client, destroy } = sessions();
  keepStreamsBriefly(server);
  keepStreamsBriefly(client);
  const streams: ServerHttp2Stream[] = [];
  server.on('stream', (stream) => {
    streams.push(stream.on('error', () => {}));
    if (streams.length <= 2) stream.respond({ ':status': 200 }, { endStream: true });
  });
  const requests = Array.from({ length: 5 }, () => client.request({ ':path': '/' }).on('error', () => {}));
  const ends = requests.map((request) => once(request.resume(), 'close'));
  await Promise.all(ends.slice(0, 2));
  while (streams.length < 5) await new Promise(setImmediate);
  assert.equal(stateOf(client).streams.size, 3);
  assert.equal(stateOf(client).pendingStreams.size, 0);

  server.destroy();

  await Promise.all(ends);
  assert.ok(streams.every(({ destroyed }) => destroyed));
  assert.equal(stateOf(server).streams.size, 0);
  destroy();
});

test('a session that has streams already keeps its fields', async () => {
  const { server, client, destroy } = sessions();
  const request = client.request({ ':path': '/' }).on('error', () => {});
  await once(server, 'stream');

  assert.deepEqual([keepStreamsBriefly(server), keepStreamsBriefly(client)], [false, false]);

  request.close();
  destroy();
});

test('a session with a stream that has no id yet keeps its fields', () => {
  const connecting = connect('http://localhost', { createConnection: () => createConnection('/nowhere') });
  connecting
    .on('error', () => {})
    .request({ ':path': '/' })
    .on('error', () => {});
  assert.deepEqual([stateOf(connecting).streams.size, stateOf(connecting).pendingStreams.size], [0, 1]);

  assert.equal(keepStreamsBriefly(connecting), false);

  connecting.destroy();
});

function sessions() {
  const [clientSide, serverSide] = duplexPair();
  const server = performServerHandshake(serverSide).on('error', () => {});
  const client = connect('http://localhost', { createConnection: () => clientSide }).on('error', () => {});
  const destroy = (): void => {
    server.destroy();
    client.destroy();
  };
  return { server, client, destroy };
}

function stateOf(session: Http2Session): State {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  assert.ok(key !== undefined);
  // A private field of Node.
  return (session as unknown as Record<symbol, State>)[key] as State;
}
