import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { Metadata } from '#rpc/common/metadata';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { RepositoryExistsRequestSchema, RepositoryService } from '#wire/gen/repository_pb';
import { methodInfo } from '#wire/method-info';
import { GitalyNode } from './gitaly-node.ts';

const ROUNDS = 20;
/** The longest pause between attempts to connect, with its jitter. */
const PAUSE_MS = 2400;
/** Limit of a check, as Praefect's. */
const CHECK_MS = 1000;

// Born failing: after some minutes the pauses between attempts were two minutes long.
test('a node that was away for long is noticed within seconds', async (context) => {
  const directory = makeScratchDirectory('node');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  const path = join(directory, 's');
  let attempts = 0;
  // A server whose connections end at once.
  const server = createServer((socket) => {
    attempts++;
    socket.destroy();
  }).listen(path);
  await once(server, 'listening');
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const config = { virtualStorage: 'default', storage: 'a', address: `unix:${path}`, token: undefined };
  await using node = await GitalyNode.dial(config, (stream) => void stream.destroy());

  for (let round = 1; round <= ROUNDS; round++) {
    assert.equal(await node.isServing(60_000, () => {}), false);
    assert.equal(attempts, round);
    context.mock.timers.tick(PAUSE_MS);
  }

  server.close();
});

// Born failing: a busy Praefect read the responses of all nodes late, and then refused calls
// because of "no healthy nodes".
test('a check is not late because this process is busy', async () => {
  await using gitaly = await startGitaly();
  const config = { virtualStorage: 'default', storage: 'default', address: gitaly.address, token: undefined };
  await using node = await GitalyNode.dial(config, (stream) => void stream.destroy());
  const failures: unknown[] = [];
  assert.equal(await node.isServing(10_000, (error) => failures.push(error)), true);

  const check = node.isServing(CHECK_MS, (error) => failures.push(error));
  const end = performance.now() + CHECK_MS * 1.2;
  while (performance.now() < end); // blocks the event loop

  assert.equal(await check, true, String(failures));
});

test('a check of a node that never responds fails after its limit', async () => {
  const directory = makeScratchDirectory('node');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(join(directory, 's'));
  await once(server, 'listening');
  const config = {
    virtualStorage: 'default',
    storage: 'a',
    address: `unix:${join(directory, 's')}`,
    token: undefined,
  };
  const node = await GitalyNode.dial(config, (stream) => void stream.destroy());
  const failures: unknown[] = [];

  assert.equal(await node.isServing(100, (error) => failures.push(error)), false);

  assert.deepEqual(
    failures.map((error) => error instanceof GitalyError && [error.code, error.message]),
    [['DEADLINE_EXCEEDED', 'context deadline exceeded']],
  );
  server.close();
  for (const socket of sockets) socket.destroy();
  await node[Symbol.asyncDispose]();
});

test('the first read opens a connection for reads, without waiting for it', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository();
  const directory = makeScratchDirectory('node');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  let connections = 0;
  const proxy = createServer((socket) => {
    connections++;
    const onward = connect(gitaly.address.slice('unix:'.length));
    for (const each of [socket, onward]) each.on('error', () => {});
    socket.pipe(onward).pipe(socket);
  }).listen(join(directory, 's'));
  await once(proxy, 'listening');
  const address = `unix:${join(directory, 's')}`;
  const config = { virtualStorage: 'default', storage: 'default', address, token: undefined };
  const node = await GitalyNode.dial(config, (stream) => void stream.destroy());
  const { storageName, relativePath } = repository;
  const request = create(RepositoryExistsRequestSchema, { repository: { storageName, relativePath } });
  const read = async (): Promise<Buffer[]> => {
    const requests = [Buffer.from(toBinary(RepositoryExistsRequestSchema, request))];
    const method = methodInfo(RepositoryService.method.repositoryExists);
    return await Array.fromAsync(node.invokeRaw(method, requests, { metadata: Metadata.from({}) }));
  };

  const [first] = await read();
  await until(() => connections === 2);
  const [second] = await read();

  assert.deepEqual(first, Buffer.of(0x08, 0x01)); // field 1, true
  assert.deepEqual(second, first);
  await node[Symbol.asyncDispose]();
  proxy.close();
});
