import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { Metadata } from '#rpc/common/metadata';
import {
  callError,
  clientContext,
  destinationOf,
  messagesOf,
  methodOf,
  type NodeScript,
  proxiedNode,
} from '#testkit/praefect/proxied-node';
import type { ProxyPlan } from './proxy-plan.ts';
import { ProxyToOne } from './proxy-to-one.ts';

interface Options {
  readonly method?: string;
  readonly messages?: AsyncGenerator<Buffer, void>;
  readonly deadline?: Date;
  readonly keep?: (error: unknown) => unknown;
  readonly finish?: () => Promise<void>;
}

/** A call that is passed on to one node; further plans are for nodes with the further scripts. */
function start(
  scripts: readonly NodeScript[],
  { deadline, finish = async () => {}, keep, messages = messagesOf(), method = 'FindCommit' }: Options = {},
) {
  const { context, ...client } = clientContext(deadline && { deadline });
  const nodes = scripts.map((script) => proxiedNode(script));
  const destinations = nodes.map((node) => destinationOf(node, keep));
  let finished = 0;
  let planned = 0;
  const plan = (): ProxyPlan => {
    const primary = destinations[planned++];
    assert.ok(primary, 'no more plans');
    return {
      ...{ primary, secondaries: [] },
      finish: async () => {
        finished++;
        await finish();
      },
    };
  };
  const call = new ProxyToOne(
    methodOf(method),
    messages,
    { plan: plan(), replan: async () => plan() },
    context,
  );
  const responses = async (): Promise<string[]> => {
    const texts: string[] = [];
    for (let next = await call.next(); next.done !== true; next = await call.next())
      texts.push(String(next.value));
    return texts;
  };
  return { ...client, call, context, destinations, nodes, responses, counts: () => ({ finished, planned }) };
}

const valuesOf = (metadata: Metadata): string =>
  [...metadata.entries()].map(([key, value]) => `${key}=${value}`).join();

test('responses, headers and trailers of the node reach the client', async () => {
  const headers = Metadata.from({ of: 'headers' });
  const trailers = Metadata.from({ cost: '1' });
  const deadline = new Date(1_800_000_000_000);
  const { call, context, counts, nodes, responses } = start([{ headers, responses: ['1', '2'], trailers }], {
    ...{ deadline, messages: messagesOf('more') },
  });

  assert.deepEqual(await call.next(), { done: false, value: Buffer.from('1') });
  assert.equal(valuesOf(context.responseHeaders), 'of=headers');
  assert.deepEqual(await responses(), ['2']);

  assert.equal(valuesOf(context.responseHeaders), 'of=headers', 'once');
  assert.equal(valuesOf(context.trailers), 'cost=1');
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
  const [received] = nodes[0]?.calls ?? [];
  assert.ok(received);
  assert.deepEqual(await received.frames(), ['first'], 'the end of the only message comes with it');
  const { metadata, onHeaders: _, onTrailers: _trailers, ...options } = received.options;
  assert.deepEqual([valuesOf(metadata), options], ['own=of the destination', { deadline }]);
  assert.deepEqual(await call.next(), { done: true, value: undefined });
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
});

test('a call without a deadline sets none', async () => {
  const { nodes, responses } = start([{}]);
  await responses();
  assert.equal('deadline' in (nodes[0]?.calls[0]?.options ?? {}), false);
});

test('further messages follow the first, and their reader may leave', async () => {
  const messages = messagesOf('second', 'third');
  const { nodes, responses } = start([{ responses: ['1'] }], { method: 'CheckObjectsExist', messages });
  assert.deepEqual(await responses(), ['1']);
  assert.deepEqual(await nodes[0]?.calls[0]?.frames(), ['first', 'second', 'third']);

  const left = messagesOf('second');
  const leaving = start([{ responses: ['1'] }], { method: 'CheckObjectsExist', messages: left });
  const requests = await frameIterator(leaving);
  assert.equal(String((await requests.next()).value), 'first');
  await requests.return?.();
  assert.deepEqual(await left.next(), { done: true, value: undefined });
});

/** The iterator over the frames that the node of a call receives. */
async function frameIterator({ call, destinations }: ReturnType<typeof start>) {
  const [destination] = destinations;
  assert.ok(destination);
  let iterator: AsyncIterator<Buffer> | undefined;
  const { invokeRaw } = destination.node;
  destination.node.invokeRaw = (method, requests, options) => {
    // A call with several messages gets an iterable.
    iterator = (requests as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    return invokeRaw(method, requests, options);
  };
  await call.next();
  assert.ok(iterator);
  return iterator;
}

test('an error of the node ends the call as it is, with its trailers', async () => {
  const error = callError('NOT_FOUND', { cost: '2' });
  const { call, context, counts, destinations, responses } = start([{ responses: ['1'], error }], {
    method: 'ListCommits',
  });
  await call.next();

  await assert.rejects(call.next(), error);

  assert.equal(valuesOf(context.trailers), 'cost=2');
  assert.deepEqual(destinations[0]?.errors, [error]);
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
  assert.deepEqual(await responses(), []);
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
});

test('an error that the plan takes ends the call without one', async () => {
  const { counts, responses } = start([{ error: callError('NOT_FOUND') }], { keep: () => undefined });
  assert.deepEqual(await responses(), []);
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
});

test('a failure after the call is its error if it has none', async () => {
  const finish = () => Promise.reject(new Error('not recorded'));
  const { call } = start([{}], { finish });
  await assert.rejects(call.next(), { message: 'not recorded' });

  const failed = start([{ error: callError('NOT_FOUND') }], { finish });
  await assert.rejects(failed.call.next(), { code: 'NOT_FOUND' });
});

test('a read whose node has gone before it responded is taken by another, three times at most', async () => {
  const gone = callError('UNAVAILABLE');
  const { context, counts, destinations, responses } = start([
    { error: gone },
    { error: gone },
    { headers: Metadata.from({ of: 'the third' }), responses: ['1'] },
  ]);

  assert.deepEqual(await responses(), ['1']);

  assert.deepEqual(counts(), { finished: 3, planned: 3 });
  assert.deepEqual(
    destinations.map(({ errors }) => errors),
    [[gone], [gone], []],
  );
  assert.equal(valuesOf(context.responseHeaders), 'of=the third');

  const lost = start([{ error: gone }, { error: gone }, { error: gone }]);
  await assert.rejects(lost.responses(), gone);
  assert.deepEqual(lost.counts(), { finished: 3, planned: 3 });
});

test('headers of a node that has gone do not reach the client', async () => {
  const { context, destinations, responses } = start([
    { error: callError('UNAVAILABLE') },
    { responses: ['1'] },
  ]);
  const [destination] = destinations;
  assert.ok(destination);
  const { invokeRaw } = destination.node;
  destination.node.invokeRaw = (method, requests, options) => {
    options.onHeaders?.(Metadata.from({ of: 'the first' }));
    return invokeRaw(method, requests, options);
  };

  assert.deepEqual(await responses(), ['1']);

  assert.equal(valuesOf(context.responseHeaders), '');
});

// Born failing: UNAVAILABLE, `error reading from server: EOF`, for a FindCommit whose node was
// killed between its response and the status.
test('a unary read whose node has gone before the status is taken by another', async () => {
  const headers = Metadata.from({ of: 'the first' });
  const gone = callError('UNAVAILABLE');
  const { context, counts, responses } = start([
    { headers, responses: ['1'], error: gone },
    { headers: Metadata.from({ of: 'the second' }), responses: ['2'] },
  ]);

  assert.deepEqual(await responses(), ['2']);

  assert.equal(valuesOf(context.responseHeaders), 'of=the second');
  assert.deepEqual(counts(), { finished: 2, planned: 2 });
});

for (const { name, script, method } of [
  {
    name: 'that has sent a response of several',
    script: { responses: ['1'], error: callError('UNAVAILABLE') },
    method: 'ListCommits',
  },
  { name: 'with an error of its own', script: { error: callError('INTERNAL') } },
  {
    name: 'whose client may have sent more',
    script: { error: callError('UNAVAILABLE') },
    method: 'CheckObjectsExist',
  },
])
  test(`a call ${name} is not repeated`, async () => {
    const { counts, responses } = start([script, {}], method === undefined ? {} : { method });
    await assert.rejects(responses(), script.error);
    assert.deepEqual(counts(), { finished: 1, planned: 1 });
  });

test('a call whose client has gone is not started, nor repeated', async () => {
  const early = start([{}]);
  early.abort();
  await assert.rejects(early.call.next(), early.gone);
  assert.equal(early.nodes[0]?.calls.length, 0);

  const error = callError('UNAVAILABLE');
  const late = start([{ before: async () => late.abort(), error }, {}]);
  await assert.rejects(late.call.next(), error);
  assert.equal(late.counts().planned, 1);
});

test('a client that leaves between responses cancels the call, which ends once', async () => {
  const { abort, call, counts, destinations, gone, nodes } = start([{ responses: ['1', '2'] }], {
    method: 'ListCommits',
  });
  await call.next();
  abort();

  assert.deepEqual(await call.return(), { done: true, value: undefined });

  assert.deepEqual(nodes[0]?.calls[0]?.canceled, [gone]);
  assert.deepEqual(
    destinations[0]?.errors.map((error) => error instanceof GitalyError && [error.code, error.message]),
    [['CANCELLED', 'context canceled']],
  );
  await call.return();
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
});

test('a client that leaves while a response is awaited leaves the end of the call to it', async () => {
  const ended = Promise.withResolvers<void>();
  const error = callError('CANCELLED');
  const { call, counts, destinations } = start([{ before: () => ended.promise, error }]);
  const waiting = call.next();
  await immediate();

  await call.return();
  assert.deepEqual(counts(), { finished: 0, planned: 1 });
  ended.resolve();

  await assert.rejects(waiting, error);
  assert.deepEqual(destinations[0]?.errors, [error]);
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
});

test('a client that leaves after the end changes nothing', async () => {
  const { call, counts, destinations, responses } = start([{ responses: ['1'] }]);
  await responses();
  await call.return();
  assert.deepEqual(destinations[0]?.errors, []);
  assert.deepEqual(counts(), { finished: 1, planned: 1 });
});
