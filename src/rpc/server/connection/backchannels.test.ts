import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { readMagic, SIDECHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { Metadata } from '#rpc/common/metadata';
import { confirmSidechannel, readSidechannelId } from '#rpc/common/sidechannel';
import { sessionPair, settle } from '#testkit/clients/raw-yamux-peer';
import type { Peer } from '../handler.ts';
import { Backchannels } from './backchannels.ts';
import { openCallSidechannel } from './open-sidechannel.ts';

const peer = (backchannelId: number | undefined): Peer => ({ transport: 'unix', address: '', backchannelId });

/** A channel that records its stream and its end. */
class FakeChannel {
  readonly stream: Duplex;
  readonly closed: Promise<void>;
  isDestroyed = false;
  error: Error | undefined;
  close: () => void;

  constructor(stream: Duplex) {
    this.stream = stream;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.close = resolve;
  }

  destroy(error?: Error): void {
    this.isDestroyed = true;
    this.error = error;
    this.stream.destroy();
    this.close();
  }
}

test('ids count from 1 and find their sessions until these end', async () => {
  const backchannels = new Backchannels((stream) => new FakeChannel(stream));
  const [first, second] = [sessionPair(), sessionPair()];

  assert.deepEqual([backchannels.register(first.server), backchannels.register(second.server)], [1, 2]);
  assert.equal(backchannels.session(peer(2)), second.server);
  second.client.destroy();
  await second.server.closed;
  await settle();

  assert.equal(backchannels.session(peer(2)), undefined);
  assert.equal(backchannels.register(sessionPair().server), 3);
});

test('a channel is created at first use, once, and again after it broke', async () => {
  const backchannels = new Backchannels((stream) => new FakeChannel(stream));
  const { client, server } = sessionPair();
  const id = backchannels.register(server);
  await settle();
  assert.equal(client.streamCount, 0);

  const [channel, same] = await Promise.all([backchannels.channel(id), backchannels.channel(id)]);
  assert.equal(channel, same);
  channel.close();
  await settle();

  assert.notEqual(await backchannels.channel(id), channel);
  assert.equal(server.streamCount, 2);
});

test('a channel is destroyed with its session', async () => {
  const backchannels = new Backchannels((stream) => new FakeChannel(stream));
  const { client, server } = sessionPair();
  const channel = await backchannels.channel(backchannels.register(server));

  client.destroy();
  await server.closed;
  await settle();

  assert.equal(channel.isDestroyed, true);
  assert.equal(channel.error, server.error);
});

test('a channel is destroyed with the error of its session', async () => {
  const backchannels = new Backchannels((stream) => new FakeChannel(stream));
  const { server } = sessionPair();
  const channel = await backchannels.channel(backchannels.register(server));

  server.destroy(new Error('broken'));
  await server.closed;
  await settle();

  assert.ok(channel.error !== undefined);
  assert.deepEqual([channel.error, backchannels.size], [server.error, 0]);
});

test('a channel that could not be created is created again at the next use', async () => {
  let failures = 1;
  const backchannels = new Backchannels((stream) => {
    if (failures-- > 0) throw new Error('not yet');
    return new FakeChannel(stream);
  });
  const id = backchannels.register(sessionPair().server);

  await assert.rejects(backchannels.channel(id), /not yet/);

  assert.ok((await backchannels.channel(id)) instanceof FakeChannel);
});

test('unknown ids and plain connections have their own errors', async () => {
  const backchannels = new Backchannels((stream) => new FakeChannel(stream));

  await assert.rejects(backchannels.channel(7), { code: 'INTERNAL', message: 'no backchannel for peer 7' });
  assert.throws(() => backchannels.idOf(peer(undefined)), {
    code: 'INTERNAL',
    message: 'non-multiplexed connection',
  });
  assert.equal(backchannels.idOf(peer(3)), 3);
});

test("a call's sidechannel is opened on the call's session", async () => {
  const backchannels = new Backchannels((stream) => new FakeChannel(stream));
  const { client, server } = sessionPair();
  const headers = Metadata.from({ 'gitaly-sidechannel-id': ['1', '42'] });

  const opening = openCallSidechannel(headers, peer(backchannels.register(server)), {
    sessions: backchannels,
  });
  const stream = await client.accept();
  assert.ok(stream);
  await readMagic(stream, [SIDECHANNEL_MAGIC]);
  assert.equal(await readSidechannelId(stream), 42n);
  (await confirmSidechannel(stream)).end('hello');

  assert.equal(await text(await opening), 'hello');
});

for (const { name, headers, message } of [
  { name: 'no id', headers: {}, message: 'sidechannel: sidechannel-id not found in incoming metadata' },
  {
    name: 'a plain connection',
    headers: { 'gitaly-sidechannel-id': '1' },
    message: 'sidechannel: fail to extract mux session: non-multiplexed connection',
  },
]) {
  test(`a call with ${name} has no sidechannel`, async () => {
    const sessions = new Backchannels((stream) => new FakeChannel(stream));

    await assert.rejects(openCallSidechannel(Metadata.from(headers), peer(undefined), { sessions }), {
      message,
    });
  });
}

for (const [reason, ending] of [
  [new GitalyError('CANCELLED', 'context canceled'), 'the end'],
  [new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded'), 'connection reset'],
] as const) {
  test(`a call that ends with ${reason.code} during a write gives its client ${ending}`, async () => {
    const backchannels = new Backchannels((stream) => new FakeChannel(stream));
    const { client, server } = sessionPair();
    const from = peer(backchannels.register(server));
    const call = new AbortController();
    const opening = openCallSidechannel(Metadata.from({ 'gitaly-sidechannel-id': '7' }), from, {
      sessions: backchannels,
      signal: call.signal,
    });
    const stream = await client.accept();
    assert.ok(stream);
    await readMagic(stream, [SIDECHANNEL_MAGIC]);
    await readSidechannelId(stream);
    const near = await confirmSidechannel(stream);
    const far = await opening;
    far.write(Buffer.alloc(600_000));
    await settle();

    call.abort(reason);
    far.destroy(reason);

    assert.equal(
      await text(near).then(
        () => 'the end',
        (error: Error) => error.message,
      ),
      ending,
    );
  });
}
