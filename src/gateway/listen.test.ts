import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listen } from './listen.ts';

test('a connection that cannot be accepted is reported and does not end the process', async () => {
  await using server = createServer();
  const told: unknown[] = [];
  await listen(server, { host: '127.0.0.1', port: 0 }, (error) => told.push(error));
  const error = Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }); // as Node emits it

  server.emit('error', error);
  server.emit('error', error);

  assert.deepEqual(told, [error, error]);
});

test('an address in use is an error', async () => {
  const first = createServer();
  await listen(first, { host: '127.0.0.1', port: 0 }, () => {});
  const { port } = Object(first.address());

  await assert.rejects(
    listen(createServer(), { host: '127.0.0.1', port }, () => {}),
    { code: 'EADDRINUSE' },
  );

  first.close();
});
