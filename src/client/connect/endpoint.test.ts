import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import type { GitalyError } from '#base/gitaly-error';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openSocket } from './endpoint.ts';

const never = new AbortController().signal;

test('an endpoint that refuses or is missing is no temporary problem', async () => {
  const directory = makeScratchDirectory('endpoint');
  for (const endpoint of [
    { kind: 'unix', path: join(directory, 'none') },
    { kind: 'tcp', host: '127.0.0.1', port: 1, tls: false, serverName: '' },
  ] as const)
    await assert.rejects(openSocket(endpoint, { tls: undefined, signal: never }), (error: GitalyError) => {
      assert.equal(error.code, 'UNAVAILABLE');
      return error.metadata.temporary === false;
    });
  rmSync(directory, { recursive: true });
});

test('an attempt ends when it is aborted', async () => {
  // A server that accepts connections, and never responds to the handshake.
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const endpoint = { kind: 'tcp', host: '127.0.0.1', port, tls: true, serverName: 'a' } as const;
  const tls = { context: createSecureContext(), serverName: undefined, rejectUnauthorized: true };
  const ending = new AbortController();
  const opening = openSocket(endpoint, { tls, signal: ending.signal });
  const [accepted]: Socket[] = await once(server, 'connection');
  ending.abort();

  const canceled = { code: 'UNAVAILABLE', message: /operation was canceled/ };
  await assert.rejects(opening, canceled);
  await assert.rejects(openSocket(endpoint, { tls, signal: ending.signal }), canceled);
  await once(accepted?.resume() ?? server, 'close');
  server.close();
});

test('an attempt without a response ends after the 20 seconds of gRPC', async (context) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const endpoint = { kind: 'tcp', host: '127.0.0.1', port, tls: true, serverName: 'a' } as const;
  const tls = { context: createSecureContext(), serverName: undefined, rejectUnauthorized: true };
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let hasEnded = false;
  const opening = openSocket(endpoint, { tls, signal: never }).finally(() => {
    hasEnded = true;
  });
  opening.catch(() => {});
  const [accepted]: Socket[] = await once(server, 'connection');

  context.mock.timers.tick(19_999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasEnded, false);
  context.mock.timers.tick(1);

  await assert.rejects(opening, { code: 'UNAVAILABLE', message: /i\/o timeout/ });
  await once(accepted?.resume() ?? server, 'close');
  server.close();
});

test('a socket that is open outlives the signal of its attempt', async () => {
  const directory = makeScratchDirectory('endpoint');
  const server = createServer((socket) => socket.end('hello')).listen(join(directory, 's'));
  await once(server, 'listening');
  const ending = new AbortController();
  const endpoint = { kind: 'unix', path: join(directory, 's') } as const;
  const socket = await openSocket(endpoint, { tls: undefined, signal: ending.signal });

  ending.abort();

  const [data] = await once(socket, 'data');
  assert.equal(String(data), 'hello');
  socket.destroy();
  server.close();
  rmSync(directory, { recursive: true });
});
