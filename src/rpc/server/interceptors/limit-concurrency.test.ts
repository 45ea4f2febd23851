import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { Limit, type LimitPolicy } from '#base/limits/limit';
import { TokenBuckets } from '#base/limits/token-buckets';
import { limitMetrics } from '#platform/metrics/limit-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { callable } from '#rpc/common/grpc/grpc-method';
import { Metadata } from '#rpc/common/metadata';
import { connectTo, only, TEST_PEER } from '#testkit/clients/in-process-rpc';
import { until } from '#testkit/until';
import { CommitService } from '#wire/gen/commit_pb';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { methodInfo } from '#wire/method-info';
import { CallContext } from '../call-context.ts';
import { serve } from '../handler.ts';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';
import { limitConcurrency, type MethodLimits, type RemoteBuckets } from './limit-concurrency.ts';

const findCommit = callable(CommitService.method.findCommit);
const USER = { username: 'jane' };

interface SetUpOptions extends Partial<LimitPolicy> {
  readonly rate?: TokenBuckets | RemoteBuckets;
  /** Adds a limit of one for callers without a user. */
  readonly hasOwn?: boolean;
  readonly isFlagEnabled?: boolean;
}

/** A server whose FindCommit waits until it is released; it runs once at a time. */
function setUp({ rate, hasOwn = false, isFlagEnabled = true, ...options }: SetUpOptions = {}) {
  const registry = new MetricsRegistry();
  const running: (() => void)[] = [];
  const lines: Readonly<Record<string, unknown>>[] = [];
  const waits: string[] = [];
  const limit = (): Limit<string> => new Limit({ capacityPerOwner: 1, maxWaitingPerOwner: 1, ...options });
  const limits: MethodLimits = {
    rate: rate && { buckets: rate, configKey: 'rate' },
    authenticated: { limit: limit(), configKey: 'concurrency' },
    unauthenticated: hasOwn ? { limit: limit(), configKey: 'unauthenticated' } : undefined,
  };
  const failures: unknown[] = [];
  const signals: AbortSignal[] = [];
  const keepEnd: ServerInterceptor = ({ context }) => ({
    request: () => void signals.push(context.signal),
    end: ({ logFields }, failure) => {
      lines.push({ ...logFields });
      if (failure !== undefined) failures.push(failure);
    },
  });
  const server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: async (_request, { signal }) => {
          await new Promise<void>((resolve) => {
            running.push(resolve);
            signal.addEventListener('abort', () => resolve());
          });
          return {};
        },
      }),
    ],
    contextExtras: { flags: () => ({ isEnabled: () => isFlagEnabled, sent: () => new Map() }) },
    interceptors: [
      keepEnd,
      limitConcurrency({
        limits: new Map([[findCommit.path, limits]]),
        metrics: limitMetrics(registry, { latencyBuckets: [60] }),
        onWait: (_call, key) => {
          waits.push(`begin ${key}`);
          return () => void waits.push(`end ${key}`);
        },
      }),
    ],
  });
  return {
    running,
    lines,
    failures,
    signals,
    waits,
    call: (relativePath = 'x.git', metadata: Readonly<Record<string, string>> = USER, timeoutMs = 60_000) => {
      const request = relativePath === '' ? {} : { repository: { storageName: 'default', relativePath } };
      const options = { metadata: Metadata.from(metadata), timeoutMs };
      const call = only(server.channel.invoke(findCommit, [request], options));
      call.catch(() => {}); // some calls are left alone
      return call;
    },
    /** Returns the values of a metric by its own labels. */
    metric: (name: string): string[] =>
      registry
        .render('text')
        .split('\n')
        .filter((line) => line.startsWith(name))
        .map((line) => line.replaceAll(/,?(?:system|grpc_\w+)="[^"]*"/g, '')),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test('calls to one repository take turns, and the next one begins when one ends', async () => {
  await using server = setUp();

  const first = server.call();
  await until(() => server.running.length === 1);
  const second = server.call();
  const other = server.call('y.git');
  await until(() => server.running.length === 2 && server.waits.length === 1);
  assert.deepEqual(server.metric('gitaly_concurrency_limiting_in_progress'), [
    'gitaly_concurrency_limiting_in_progress{} 2',
  ]);
  assert.deepEqual(server.metric('gitaly_concurrency_limiting_queued'), [
    'gitaly_concurrency_limiting_queued{} 1',
  ]);
  server.running[0]?.();
  await first;
  await until(() => server.running.length === 3);
  for (const release of server.running) release();
  await Promise.all([second, other]);

  assert.deepEqual(server.waits, ['begin concurrency', 'end concurrency']);
  const fields = {
    'limit.limiting_type': 'per-rpc',
    'limit.limiting_key': 'x.git',
    'limit.concurrency_in_progress': 1,
    'limit.concurrency_queue_length': 1,
  };
  assert.deepEqual(server.lines[0], { ...fields, 'limit.concurrency_queue_ms': 0 });
  assert.deepEqual(
    { ...server.lines[2], 'limit.limiting_key': 'x.git', 'limit.concurrency_queue_ms': 0 },
    {
      ...fields,
      'limit.concurrency_queue_ms': 0,
    },
  );
  assert.deepEqual(server.metric('gitaly_concurrency_limiting_in_progress'), [
    'gitaly_concurrency_limiting_in_progress{} 0',
  ]);
  assert.deepEqual(server.metric('gitaly_concurrency_limiting_queued'), [
    'gitaly_concurrency_limiting_queued{} 0',
  ]);
  assert.ok(
    server
      .metric('gitaly_concurrency_limiting_acquiring_seconds_count')
      .includes('gitaly_concurrency_limiting_acquiring_seconds_count{} 3'),
  );
});

for (const [what, options, reason, text] of [
  ['the queue is full', {}, 'max_size', 'maximum queue size reached'],
  [
    'the wait is too long',
    { maxWaitingPerOwner: undefined, maxWaitMs: 1 },
    'max_time',
    'maximum time in concurrency queue reached',
  ],
] as const) {
  test(`a call is refused when ${what}, which is logged and counted`, async () => {
    await using server = setUp(options);
    server.call();
    await until(() => server.running.length === 1);
    if (reason === 'max_size') server.call();
    await until(() => reason === 'max_time' || server.waits.length === 1);

    await assert.rejects(server.call(), { code: 'RESOURCE_EXHAUSTED', message: text });

    await until(() => server.lines.length === 1);
    assert.deepEqual(
      { ...server.lines[0], 'limit.concurrency_queue_length': 1 },
      {
        'limit.concurrency_dropped': reason,
        'limit.authenticated': 'true',
        'limit.config_key': 'concurrency',
        'limit.limiting_type': 'per-rpc',
        'limit.limiting_key': 'x.git',
        'limit.concurrency_in_progress': 1,
        'limit.concurrency_queue_length': 1,
        'limit.concurrency_queue_ms': 0,
      },
    );
    const [failure] = server.failures;
    const detail = create(LimitErrorSchema, { errorMessage: text, retryAfter: { seconds: 0n } });
    assert.deepEqual(failure instanceof GitalyError && failure.details, [detail]);
    assert.deepEqual(server.metric('gitaly_requests_dropped_total'), [
      `gitaly_requests_dropped_total{authenticated="true",reason="${reason}"} 1`,
    ]);
  });
}

test('a call that leaves while it waits takes no turn', async () => {
  await using server = setUp();
  const first = server.call();
  await until(() => server.running.length === 1);
  const leaving = server.call('x.git', USER, 50);
  await assert.rejects(leaving, { message: /context deadline exceeded/ });
  await until(() => server.failures.length === 1);
  assert.deepEqual(server.waits, ['begin concurrency', 'end concurrency']);
  const [failure] = server.failures;
  assert.ok(failure instanceof GitalyError);
  assert.match(failure.message, /^unexpected error when dequeueing request: context /);
  assert.ok(['DEADLINE_EXCEEDED', 'CANCELLED'].includes(failure.code), failure.code);

  server.running[0]?.();
  await first;
  const next = server.call();
  await until(() => server.running.length === 2);
  server.running[1]?.();
  await next;
});

for (const endsFirst of [false, true]) {
  test(`a turn that comes ${endsFirst ? 'after' : 'before'} the end of its call is given back`, async () => {
    const limit = new Limit<string>({ capacityPerOwner: 1 });
    const intercept = limitConcurrency({
      limits: new Map([
        [findCommit.path, { authenticated: { limit, configKey: 'x' }, unauthenticated: undefined }],
      ]),
      metrics: limitMetrics(new MetricsRegistry(), { latencyBuckets: [] }),
    });
    const method = methodInfo(CommitService.method.findCommit);
    const targets = {
      repository: { storageName: '', relativePath: 'x.git', glRepository: '', glProjectPath: '' },
    };
    const headers = Metadata.from(USER);
    const context = new CallContext(method, headers, TEST_PEER, undefined, {});
    // The interceptor uses no other fields.
    const call = { method, headers, context, targets } as unknown as ServerCall;
    const [first, second] = [await intercept(call), await intercept(call)];
    await first?.request?.(call);
    const waiting = second?.request?.(call);
    assert.deepEqual(limit.callers('x.git'), { holders: 1, waiting: 1 });

    if (endsFirst) await second?.end?.(call, undefined);
    await first?.end?.(call, undefined);
    await waiting;
    assert.equal(limit.callers('x.git').holders, endsFirst ? 0 : 1);
    await second?.end?.(call, undefined);

    assert.equal(limit.callers('x.git').holders, 0);
  });
}

test('calls that start too often are refused', async () => {
  await using server = setUp({ rate: new TokenBuckets({ burst: 1, intervalMs: 1e9 }) });
  const first = server.call();
  await until(() => server.running.length === 1);
  server.running[0]?.();
  await first;

  await assert.rejects(server.call('x.git', {}), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'rate limit reached',
  });

  assert.deepEqual(server.lines[1], {
    'limit.limiting_type': 'per-rpc',
    'limit.limiting_key': 'x.git',
    'limit.concurrency_dropped': 'rate',
    'limit.config_key': 'rate',
  });
  assert.deepEqual(server.metric('gitaly_requests_dropped_total'), [
    'gitaly_requests_dropped_total{authenticated="false",reason="rate"} 1',
  ]);
});

test('calls wait for the buckets of another process, and for no turn when they have left', async () => {
  const asked: PromiseWithResolvers<boolean>[] = [];
  const take = (): Promise<boolean> => {
    const answer = Promise.withResolvers<boolean>();
    asked.push(answer);
    return answer.promise;
  };
  await using server = setUp({ rate: { take } });

  const refused = server.call();
  await until(() => asked.length === 1);
  asked[0]?.resolve(false);
  await assert.rejects(refused, { code: 'RESOURCE_EXHAUSTED', message: 'rate limit reached' });
  const leaving = server.call('x.git', USER, 2000);
  await until(() => asked.length === 2);
  await assert.rejects(leaving, { message: /context deadline exceeded/ });
  await until(() => server.signals[1]?.aborted === true); // the client sees the end first
  asked[1]?.resolve(true);
  await until(() => server.failures.length === 2);
  const allowed = server.call();
  await until(() => asked.length === 3);
  assert.equal(server.running.length, 0);
  asked[2]?.resolve(true);
  await until(() => server.running.length === 1);
  server.running[0]?.();
  await allowed;

  const counted = server.metric('gitaly_concurrency_limiting_acquiring_seconds_count');
  assert.deepEqual(counted, ['gitaly_concurrency_limiting_acquiring_seconds_count{} 1']);
});

test('calls without a repository are not limited', async () => {
  await using server = setUp();
  const calls = [server.call(''), server.call('')];

  await until(() => server.running.length === 2);
  for (const release of server.running) release();
  await Promise.all(calls);
});

for (const [what, options, isSeparate] of [
  ['have a limit of their own', { hasOwn: true }, true],
  ['share that of the others when the flag is off', { hasOwn: true, isFlagEnabled: false }, false],
  ['share that of the others without one of their own', {}, false],
] as const) {
  test(`callers without a user ${what}`, async () => {
    await using server = setUp(options);
    const calls = [server.call()];
    await until(() => server.running.length === 1);

    calls.push(server.call('x.git', {}));
    if (isSeparate) await until(() => server.running.length === 2);
    else await until(() => server.waits.length === 1);
    if (isSeparate) {
      calls.push(server.call('x.git', {}));
      await until(() => server.waits.length === 1);
      await assert.rejects(server.call('x.git', {}), { code: 'RESOURCE_EXHAUSTED' });
      assert.deepEqual(server.metric('gitaly_requests_dropped_total'), [
        'gitaly_requests_dropped_total{authenticated="false",reason="max_size"} 1',
      ]);
    }
    assert.deepEqual(server.waits, [`begin ${isSeparate ? 'unauthenticated' : 'concurrency'}`]);

    while (server.lines.length < calls.length + (isSeparate ? 1 : 0)) {
      for (const release of server.running) release();
      await nextTurn();
    }
    await Promise.all(calls);
  });
}
