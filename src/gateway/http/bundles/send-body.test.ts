import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectoryStore } from '#object-store/file/directory-store';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { sendBody } from './send-body.ts';

/** Serves with a function, until it is disposed. */
async function serve(handle: (response: ServerResponse) => void) {
  const server = createServer((_, response) => handle(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const stop = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { port, [Symbol.dispose]: stop };
}

test('a file arrives unchanged in memory that is used again, also at a slow client', async (context) => {
  const directory = makeScratchDirectory('send-body');
  context.after(() => rmSync(directory, { recursive: true }));
  const content = randomBytes(9 * 256 * 1024 + 17);
  writeFileSync(join(directory, 'x'), content);
  const { signal } = new AbortController();
  const memory = new Set<ArrayBufferLike>();
  const options = { range: { start: 5 }, mayReuse: true, signal };
  const pieces = async function* () {
    for await (const piece of new DirectoryStore(directory).get('x', options)) {
      memory.add(piece.buffer);
      yield piece;
    }
  };
  using server = await serve((response) => void sendBody(response, pieces(), content.length - 5));

  const received: Buffer[] = [];
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET / HTTP/1.0\r\n\r\n');
  socket.pause();
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate); // the buffers fill up
  for await (const chunk of socket) received.push(chunk);
  const all = Buffer.concat(received);

  const body = all.subarray(all.indexOf('\r\n\r\n') + 4);
  assert.ok(body.equals(content.subarray(5)));
  assert.equal(memory.size, 2);
});

test('a client that leaves ends the source', async () => {
  const ended = Promise.withResolvers<unknown>();
  const returned = Promise.withResolvers<void>();
  const endless = async function* () {
    try {
      for (;;) yield Buffer.alloc(256 * 1024);
    } finally {
      returned.resolve();
    }
  };
  using server = await serve(
    (response) => void sendBody(response, endless(), Number.MAX_SAFE_INTEGER).catch(ended.resolve),
  );

  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET / HTTP/1.0\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();

  await returned.promise;
  assert.ok((await ended.promise) instanceof Error);
});
