import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
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
  // Nobody answers there (RFC 5737).
  const endpoint = { kind: 'tcp', host: '192.0.2.1', port: 1, tls: false, serverName: '' } as const;
  const ending = new AbortController();
  const opening = openSocket(endpoint, { tls: undefined, signal: ending.signal });
  ending.abort();

  await assert.rejects(opening, { code: 'UNAVAILABLE' });
  await assert.rejects(openSocket(endpoint, { tls: undefined, signal: ending.signal }), {
    code: 'UNAVAILABLE',
  });
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
