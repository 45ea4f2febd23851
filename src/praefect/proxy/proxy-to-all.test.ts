import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { Metadata } from '#rpc/common/metadata';
import {
  callError,
  clientContext,
  destinationOf,
  messagesOf,
  methodOf,
  type NodeCall,
  type NodeScript,
  proxiedNode,
} from '#testkit/praefect/proxied-node';
import { until } from '#testkit/until';
import { proxyToAll } from './proxy-to-all.ts';

const method = methodOf('WriteRef');
const failure = callError('INTERNAL', { method, cost: '2' });

interface Options {
  readonly deadline?: Date;
  /** Functions by node, the primary first. Each returns the error of the call. */
  readonly keep?: readonly (((error: unknown) => unknown) | undefined)[];
  readonly finish?: () => Promise<void>;
}

/** A call that is passed on to a primary and to secondaries. */
function start(
  scripts: readonly NodeScript[],
  { deadline, finish = async () => {}, keep = [] }: Options = {},
) {
  const { context, ...client } = clientContext(deadline && { deadline });
  const nodes = scripts.map((script) => proxiedNode(script));
  const [primary, ...secondaries] = nodes.map((node, index) => destinationOf(node, keep[index]));
  assert.ok(primary);
  const destinations = [primary, ...secondaries];
  let finished = 0;
  const plan = {
    ...{ primary, secondaries },
    finish: async () => {
      finished++;
      await finish();
    },
  };
  const responses = proxyToAll(method, messagesOf('second'), plan, context);
  const texts = async () => (await Array.fromAsync(responses)).map(String);
  return { ...client, context, destinations, nodes, responses, texts, finished: () => finished };
}

const valuesOf = (metadata: Metadata): string =>
  [...metadata.entries()].map(([key, value]) => `${key}=${value}`).join();

/** Waits until the caller has ended a call. */
const ended = async ({ options }: NodeCall): Promise<void> => {
  await until(() => options.signal?.aborted === true, 'the call is ended');
};

test('all nodes receive the messages, and the client what the primary returns', async () => {
  const deadline = new Date(1_800_000_000_000);
  const received: (readonly string[])[] = [];
  const before = async (call: NodeCall) => void received.push(await call.frames());
  const script = (of: string): NodeScript => ({
    ...{ before, responses: [of], headers: Metadata.from({ of }), trailers: Metadata.from({ cost: of }) },
  });
  const { context, finished, nodes, texts } = start([script('a'), script('b'), script('c')], { deadline });

  assert.deepEqual(await texts(), ['a']);

  assert.deepEqual(received, Array(3).fill(['first', 'second']));
  assert.deepEqual([valuesOf(context.responseHeaders), valuesOf(context.trailers)], ['of=a', 'cost=a']);
  assert.equal(finished(), 1);
  for (const [call] of nodes.map(({ calls }) => calls)) {
    assert.equal(call?.method, method);
    assert.equal(valuesOf(call.options.metadata), 'own=of the destination');
    assert.deepEqual(call.options.deadline, deadline);
    assert.equal(call.options.signal?.aborted, false);
  }
});

test('the call ends when all its nodes have ended', async () => {
  const released = Promise.withResolvers<void>();
  const { finished, responses } = start([{ responses: ['1'] }, { before: () => released.promise }]);
  await responses.next();
  let isOver = false;
  const end = responses.next().then(({ done }) => {
    isOver = true;
    return done;
  });
  await immediate();
  assert.deepEqual([isOver, finished()], [false, 0]);

  released.resolve();

  assert.equal(await end, true);
  assert.equal(finished(), 1);
});

test('the failure of a secondary ends the call on the other nodes', async () => {
  const { destinations, finished, nodes, texts } = start([
    { before: ended, error: callError('CANCELLED', { method }) },
    { error: failure },
    { before: ended },
  ]);

  await assert.rejects(texts(), {
    code: 'INTERNAL',
    message: 'failed proxying to secondary: of the node',
    cause: failure,
  });

  assert.deepEqual(
    destinations.map(({ errors }) => errors),
    [[], [failure], []],
    'the end of the primary is no result of its own',
  );
  assert.deepEqual(
    nodes.map(({ calls }) => calls[0]?.options.signal?.aborted),
    [true, true, true],
  );
  assert.equal(finished(), 1);
});

test('the failure of a secondary counts, although the primary has succeeded', async () => {
  const { texts } = start([{ responses: ['1'] }, { error: failure }]);
  await assert.rejects(texts(), { message: 'failed proxying to secondary: of the node' });
});

test('a secondary whose failure the plan takes does not affect the others', async () => {
  const { nodes, texts } = start([{ responses: ['1'] }, { error: failure }], {
    keep: [undefined, () => undefined],
  });
  assert.deepEqual(await texts(), ['1']);
  assert.equal(nodes[0]?.calls[0]?.options.signal?.aborted, false);
});

test('the failure of the primary ends the call with its error, when the others have ended', async () => {
  let isOver = false;
  const { context, destinations, finished, texts } = start([
    { error: failure },
    {
      before: async (call) => {
        await ended(call);
        isOver = true;
      },
    },
  ]);

  await assert.rejects(texts(), failure);

  assert.equal(isOver, true);
  assert.deepEqual(destinations[0]?.errors, [failure]);
  assert.equal(valuesOf(context.trailers), 'cost=2');
  assert.equal(finished(), 1);
});

test('a primary whose failure the plan takes leaves the others to complete the call', async () => {
  const released = Promise.withResolvers<void>();
  const { nodes, texts } = start([{ error: failure }, { before: () => released.promise }], {
    keep: [() => undefined],
  });
  const ending = texts();
  await immediate();
  assert.equal(nodes[1]?.calls[0]?.options.signal?.aborted, false);
  released.resolve();
  assert.deepEqual(await ending, []);
});

test('a failure after the call is its error if it has none', async () => {
  const finish = () => Promise.reject(new Error('not recorded'));
  await assert.rejects(start([{}], { finish }).texts(), { message: 'not recorded' });
  await assert.rejects(start([{ error: failure }], { finish }).texts(), failure);
});

test('when the client leaves, the calls of the nodes are ended, and waited for', async () => {
  const canceled = callError('CANCELLED', { method });
  const releases = [1, 2].map(() => Promise.withResolvers<void>());
  const before = (index: number) => async (call: NodeCall) => {
    await ended(call);
    await releases[index]?.promise;
  };
  const { destinations, finished, nodes, responses } = start([
    { responses: ['1'], before: before(0), error: canceled },
    { before: before(1) },
  ]);
  await responses.next();

  const leaving = responses.return(undefined);
  const isEnded = () => nodes.every(({ calls }) => calls[0]?.options.signal?.aborted === true);
  await until(isEnded);
  for (const { resolve } of releases) {
    await immediate();
    assert.equal(finished(), 0);
    resolve();
  }
  await leaving;

  assert.deepEqual(destinations[0]?.errors, [canceled]);
  assert.equal(finished(), 1);
});

test('after the call a node receives no more messages', async () => {
  const { nodes, texts } = start([{ responses: ['1'] }, {}]);
  await texts();
  for (const { calls } of nodes) assert.deepEqual(await calls[0]?.frames(), []);
});
