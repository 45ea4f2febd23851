import assert from 'node:assert/strict';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { openTimers } from '#testkit/measure/open-timers';
import { acceptReverse } from './accept-reverse.ts';
import { HANDSHAKE_TIMEOUT_MS } from './connection-limits.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Empty settings, and the acknowledgement of ours. */
const HANDSHAKE = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]);
/** A request without an authority. */
const REQUEST = Buffer.from([0, 0, 2, 1, 4, 0, 0, 0, 1, 0x83, 0x86]);

function begin(...sent: readonly Buffer[]) {
  const [gitaly, stream] = duplexPair();
  const served: Duplex[] = [];
  gitaly.on('error', () => {});
  if (sent.length > 0) gitaly.write(Buffer.concat(sent));
  return { gitaly, stream, served, done: acceptReverse(stream, (duplex) => served.push(duplex)) };
}

test('a stream that is silent for two minutes is destroyed, one that has begun is served', async ({
  mock,
}) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const [silent, idle, busy] = [begin(), begin(PREFACE, HANDSHAKE), begin(PREFACE, HANDSHAKE, REQUEST)];
  await settle();

  mock.timers.tick(HANDSHAKE_TIMEOUT_MS - 1);
  await settle();
  assert.equal(silent.stream.destroyed, false);
  mock.timers.tick(1);
  await silent.done;
  assert.deepEqual([silent.stream.destroyed, silent.served], [true, []]);
  await Promise.all([idle.done, busy.done]);

  assert.deepEqual([busy.stream.destroyed, busy.served], [false, [busy.stream]]);
  assert.deepEqual([idle.stream.destroyed, idle.served.length], [false, 1]);
});

test('a stream that ends before its first call is destroyed, and its timer ends', async (context) => {
  const timers = openTimers(context);
  const [ended, failed] = [begin(PREFACE, HANDSHAKE), begin(PREFACE)];
  await settle();

  ended.gitaly.end();
  failed.stream.destroy(new Error('reset'));
  await Promise.all([ended.done, failed.done]);

  for (const { served, stream } of [ended, failed]) {
    assert.equal(stream.destroyed, true);
    assert.deepEqual(served, []);
  }
  assert.equal(timers(), 0);
});

test('an error after the stream was passed on has an owner', async () => {
  const { done, served, stream } = begin(PREFACE, HANDSHAKE, REQUEST);
  await done;

  served[0]?.emit('error', new Error('late'));

  assert.equal(stream.destroyed, true);
});
