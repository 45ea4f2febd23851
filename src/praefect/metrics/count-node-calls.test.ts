import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { Invocation, ResponseStream } from '#client/index';
import { grpcClientMetrics } from '#platform/metrics/grpc-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { Metadata } from '#rpc/common/metadata';
import { methodOf } from '#testkit/praefect/proxied-node';
import { countNodeCalls } from './count-node-calls.ts';

interface Node {
  readonly responses?: number;
  readonly error?: unknown;
}

/** Calls of a node that reads all requests, sends responses and ends. */
function start({ error, responses = 1 }: Node = {}) {
  const registry = new MetricsRegistry();
  const interceptor = countNodeCalls(grpcClientMetrics(registry, { latencyBuckets: [1] }));
  const canceled: unknown[] = [];
  let sent: Invocation['requests'] | undefined;
  const next = ({ requests }: Invocation): ResponseStream<unknown> => {
    sent = requests;
    const messages = async function* () {
      for await (const _ of requests);
      for (let count = 0; count < responses; count++) yield count;
      if (error !== undefined) throw error;
    };
    return {
      ...{ headers: Promise.resolve(Metadata.from()), trailers: Promise.resolve(Metadata.from()) },
      cancel: (reason) => void canceled.push(reason),
      [Symbol.asyncIterator]: messages,
      [Symbol.asyncDispose]: async () => {},
    };
  };
  const call = (name: string, requests: Invocation['requests'] = ['only'], isRaw = false) =>
    interceptor({ method: methodOf(name), requests, options: {}, isRaw }, next);
  /** Values by family and, of ends, by code. Series that are 0 are left out. */
  const counts = (): Record<string, number> =>
    Object.fromEntries(
      Array.from(
        registry.render('text').matchAll(/^grpc_client_(\w+?)(?:_total)?\{(.*)\} ([1-9]\d*)$/gm),
        ([, family = '', labels = '', value]): [string, number] => [
          family + (/grpc_code="(\w+)"/.exec(labels)?.[1] ?? ''),
          Number(value),
        ],
      ).filter(([family]) => !family.endsWith('_bucket')),
    );
  return { call, canceled, counts, registry, sent: () => sent };
}

async function* twice(): AsyncGenerator<string> {
  yield 'first';
  yield 'second';
}

test('the messages of a stream are counted in both directions, and its end', async () => {
  const { call, counts } = start({ responses: 3 });
  const received = await Array.fromAsync(call('CheckObjectsExist', twice()));
  assert.equal(received.length, 3);
  assert.deepEqual(counts(), {
    ...{ started: 1, msg_sent: 2, msg_received: 3, handledOK: 1, handling_seconds_count: 1 },
  });
});

// The library of 19.0 does so.
test('the response of a unary call is not counted, a failure is', async () => {
  const success = start();
  await Array.fromAsync(success.call('FindCommit'));
  assert.deepEqual(success.counts(), { started: 1, msg_sent: 1, handledOK: 1, handling_seconds_count: 1 });

  const error = new GitalyError('NOT_FOUND', 'missing');
  const failure = start({ responses: 0, error });
  await assert.rejects(Array.fromAsync(failure.call('FindCommit')), error);
  assert.deepEqual(failure.counts(), {
    ...{ started: 1, msg_sent: 1, msg_received: 1, handledNotFound: 1, handling_seconds_count: 1 },
  });
});

test('a call that is passed on counts as a stream in both directions, whatever its method is', async () => {
  const { call, counts, registry } = start();
  await Array.fromAsync(call('FindCommit', ['only'], true));
  assert.equal(counts().msg_received, 1);
  assert.match(registry.render('text'), /^grpc_client_started_total\{.*grpc_type="bidi_stream"\} 1$/m);
});

test('own calls and those that are passed on are counted apart, and each call once', async () => {
  const { call, registry } = start();
  for (const isRaw of [true, false, true]) await Array.fromAsync(call('FindCommit', ['only'], isRaw));
  const started = registry.render('text').match(/^grpc_client_started_total\{.*\} [1-9]$/gm) ?? [];
  assert.deepEqual(
    started.map((line) => /grpc_type="(\w+)"\} (\d)/.exec(line)?.slice(1)),
    [
      ['bidi_stream', '2'],
      ['unary', '1'],
    ],
  );
});

test('an array of requests stays one', () => {
  const { call, sent } = start();
  const requests = ['only'];
  call('FindCommit', requests);
  assert.equal(sent(), requests);
});

test('an error without a code counts as unknown', async () => {
  const { call, counts } = start({ responses: 0, error: new Error('failed') });
  await assert.rejects(Array.fromAsync(call('CheckObjectsExist')));
  assert.equal(counts().handledUnknown, 1);
});

for (const { name, leave, code } of [
  {
    name: 'cancels it',
    leave: (call: ResponseStream<unknown>) => call.cancel(),
    code: 'Canceled',
  },
  {
    name: 'cancels it with a reason',
    leave: (call: ResponseStream<unknown>) => call.cancel(new GitalyError('DEADLINE_EXCEEDED', 'late')),
    code: 'DeadlineExceeded',
  },
  {
    name: 'disposes of it',
    leave: (call: ResponseStream<unknown>) => call[Symbol.asyncDispose](),
    code: 'Canceled',
  },
  {
    name: 'leaves its responses',
    leave: async (call: ResponseStream<unknown>) => {
      for await (const _ of call) break;
    },
    code: 'Canceled',
  },
])
  test(`a caller that ${name} ends a call, once`, async () => {
    const { call, canceled, counts } = start({ responses: 2 });
    const running = call('CheckObjectsExist');
    await leave(running);
    assert.equal(counts()[`handled${code}`], 1);
    await running[Symbol.asyncDispose]();
    const { [`handled${code}`]: ended, handling_seconds_count: measured } = counts();
    assert.deepEqual([ended, measured, canceled.length], [1, 1, name.startsWith('cancels') ? 1 : 0]);
  });

test('the duration of a call is measured in seconds', async (context) => {
  let nowMs = 1000;
  context.mock.method(performance, 'now', () => nowMs);
  const { call, registry } = start();
  const running = call('FindCommit');
  nowMs = 3500;
  await Array.fromAsync(running);
  assert.match(registry.render('text'), /^grpc_client_handling_seconds_sum\{.*\} 2\.5$/m);
});
