import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  callError,
  clientContext,
  destinationOf,
  messagesOf,
  methodOf,
  type NodeScript,
  proxiedNode,
} from '#testkit/praefect/proxied-node';
import { ProxiedCall } from './proxy-call.ts';
import type { ProxyPlan } from './proxy-plan.ts';

const unsent = callError('UNAVAILABLE', { method: methodOf('WriteRef'), unsent: true });

/** A call whose plans are for nodes with these scripts, one after the other. */
function start(
  name: string,
  scripts: readonly NodeScript[],
  messages: AsyncGenerator<Buffer, void> = messagesOf('first'),
) {
  const { context, ...client } = clientContext();
  const nodes = scripts.map((script) => proxiedNode(script));
  const firsts: string[] = [];
  let finished = 0;
  const plan = async (first: Buffer): Promise<ProxyPlan> => {
    const node = nodes[firsts.length];
    assert.ok(node, 'no more plans');
    firsts.push(String(first));
    const finish = async () => void finished++;
    return { primary: { ...destinationOf(node), firstFrame: first }, secondaries: [], finish };
  };
  const call = new ProxiedCall(methodOf(name), messages, context, plan);
  const texts = async () => (await Array.fromAsync(call)).map(String);
  return { ...client, call, firsts, texts, finished: () => finished };
}

for (const name of ['FindCommit', 'WriteRef'])
  test(`${name}: nodes are chosen by the first message`, async () => {
    const received: unknown[] = [];
    const before: NodeScript['before'] = async (call) => void received.push(await call.frames());
    const { finished, firsts, texts } = start(name, [{ responses: ['1', '2'], before }]);
    assert.deepEqual(await texts(), ['1', '2']);
    assert.deepEqual(firsts, ['first']);
    assert.deepEqual(received, [['first']]);
    assert.equal(finished(), 1);
  });

test('a call without a message has no nodes', async () => {
  const { call, firsts } = start('WriteRef', [], messagesOf());
  await assert.rejects(call.next(), { code: 'INTERNAL', message: 'EOF' });
  assert.deepEqual(firsts, []);
});

test('a call that ends before its first message has nothing to end', async () => {
  assert.deepEqual(await start('WriteRef', []).call.return(), { done: true, value: undefined });
});

test('a client that leaves ends the call', async () => {
  for (const name of ['FindCommit', 'WriteRef']) {
    const { call, finished } = start(name, [{ responses: ['1', '2'] }]);
    await call.next();
    assert.deepEqual(await call.return(), { done: true, value: undefined });
    assert.equal(finished(), 1);
  }
});

test('a read whose node disconnects is taken by another, a write is not', async () => {
  const cutOff = (name: string) => callError('UNAVAILABLE', { method: methodOf(name) });
  const read = start('FindCommit', [{ error: cutOff('FindCommit') }, { responses: ['1'] }]);
  assert.deepEqual(await read.texts(), ['1']);
  assert.deepEqual(read.firsts, ['first', 'first']);

  const write = start('WriteRef', [{ error: cutOff('WriteRef') }, {}]);
  await assert.rejects(write.texts(), { code: 'UNAVAILABLE' });
  assert.deepEqual(write.firsts, ['first']);
});

test('a write that its node has not seen is sent to another with all its messages, three times', async () => {
  const messages = messagesOf('first', 'second');
  const received: unknown[] = [];
  const reads: NodeScript['before'] = async (call) => void received.push(await call.frames());
  const { finished, firsts, texts } = start(
    'WriteRef',
    [
      { before: reads, error: unsent },
      { before: reads, error: unsent },
      { before: reads, responses: ['1'] },
    ],
    messages,
  );

  assert.deepEqual(await texts(), ['1']);

  assert.deepEqual(firsts, ['first', 'first', 'first']);
  assert.deepEqual(received, Array(3).fill(['first', 'second']));
  assert.equal(finished(), 3);

  const lost = start('WriteRef', [{ error: unsent }, { error: unsent }, { error: unsent }, {}]);
  await assert.rejects(lost.texts(), unsent);
  assert.equal(lost.firsts.length, 3);
});

test('a write with more messages than are kept is not repeated', async () => {
  const messages = messagesOf(...Array.from({ length: 20 }, (_, index) => `${index}`));
  const before: NodeScript['before'] = async (call) => void (await call.frames());
  const { firsts, texts } = start('WriteRef', [{ before, error: unsent }, {}], messages);
  await assert.rejects(texts(), unsent);
  assert.equal(firsts.length, 1);
});

test('a write whose client has gone is not repeated', async () => {
  const { abort, firsts, texts } = start('WriteRef', [{ before: async () => abort(), error: unsent }, {}]);
  await assert.rejects(texts(), unsent);
  assert.equal(firsts.length, 1);
});
