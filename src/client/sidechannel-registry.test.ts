import assert from 'node:assert/strict';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { SidechannelRegistry } from './sidechannel-registry.ts';

/** Returns the server's end of a stream that it opened for this id; the magic was read already. */
function openAs(
  registry: SidechannelRegistry,
  id: bigint,
): { server: Duplex; client: Duplex; accepted: Promise<void> } {
  const [server, client] = duplexPair();
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(id);
  server.write(bytes);
  const accepted = registry.accept(client);
  accepted.catch(() => {});
  return { server, client, accepted };
}

test('a registered callback receives the stream of its id, and its frames reach the server', async () => {
  const registry = new SidechannelRegistry();
  let received = '';
  const waiter = registry.register(async (connection) => {
    connection.write('to the server');
    await connection.closeWrite();
    received = await text(connection);
  });
  assert.equal(Metadata.from(waiter.metadata).get('gitaly-sidechannel-id'), '0');

  const { accepted, server } = openAs(registry, waiter.id);
  const sent = text(server);
  server.end('to the client');
  await accepted;
  await waiter.close();

  assert.equal(received, 'to the client');
  assert.equal(await sent, 'ok0011to the server0000');
  assert.equal(registry.size, 0);
});

test('the stream ends with its callback, whatever that left open', async () => {
  const registry = new SidechannelRegistry();
  const waiter = registry.register(async (connection) => void connection.write('half'));
  const { accepted, client, server } = openAs(registry, waiter.id);
  server.resume();

  await accepted;
  await waiter.close();

  assert.equal(client.destroyed, true);
});

test('ids count from 0 in each registry', () => {
  const [first, second] = [new SidechannelRegistry(), new SidechannelRegistry()];

  assert.deepEqual(
    [
      first.register(async () => {}).id,
      first.register(async () => {}).id,
      second.register(async () => {}).id,
    ],
    [0n, 1n, 0n],
  );
});

test('a callback that the server never used is removed', async () => {
  const registry = new SidechannelRegistry();
  const waiter = registry.register(() => assert.fail('must not run'));

  await assert.rejects(waiter.close(), { message: 'sidechannel: callback de-registered without having run' });
  await assert.rejects(waiter.close(), { message: 'sidechannel: callback de-registered without having run' });
  assert.equal(registry.size, 0);
});

test('closing waits for the callback and returns its failure, each time', async () => {
  const registry = new SidechannelRegistry();
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiter = registry.register(async () => {
    await promise;
    throw new Error('disk full');
  });
  const { server } = openAs(registry, 0n);
  server.resume();
  await new Promise((done) => server.once('data', done));

  const closing = waiter.close();
  resolve();

  await assert.rejects(closing, { message: 'disk full' });
  await assert.rejects(waiter.close(), { message: 'disk full' });
});

test('a stream for an unknown id is closed without a response', async () => {
  const { server, accepted } = openAs(new SidechannelRegistry(), 7n);

  assert.equal(await text(server), '');
  await assert.rejects(accepted, { message: 'sidechannel registry: ID not registered' });
});

test('a callback runs once', async () => {
  const registry = new SidechannelRegistry();
  let runs = 0;
  const waiter = registry.register(async () => {
    runs++;
  });

  const first = openAs(registry, waiter.id);
  const second = openAs(registry, waiter.id);
  first.server.resume();
  await first.accepted;
  await waiter.close();

  await assert.rejects(second.accepted, { message: 'sidechannel registry: ID not registered' });
  assert.equal(runs, 1);
});
