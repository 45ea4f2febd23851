import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Limit } from '#base/limits/limit';
import { TokenBuckets } from '#base/limits/token-buckets';
import { createLogger } from '#platform/log/logger';
import { limitMetrics } from '#platform/metrics/limit-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { Metadata } from '#rpc/common/metadata';
import { TEST_PEER } from '#testkit/clients/in-process-rpc';
import { RepositoryService } from '#wire/gen/repository_pb';
import { methodInfo } from '#wire/method-info';
import { CallContext } from './call-context.ts';
import { type CallChainOptions, interceptorChain } from './chain.ts';
import { addCostTrailer } from './interceptors/cost-trailer.ts';
import { mapStatus, rewriteAborted } from './interceptors/status-mapping.ts';
import type { ServerCall, ServerInterceptor } from './server-call.ts';

const METHOD = methodInfo(RepositoryService.method.optimizeRepository);
const TARGET = { storageName: 'default', relativePath: 'x.git', glRepository: '', glProjectPath: '' };

/**
 * Runs each interceptor of a chain alone. Returns the names of those that noticed the call, in
 * order.
 */
async function noticed(optional: Partial<CallChainOptions>): Promise<string[]> {
  const seen: string[] = [];
  const spy =
    (name: string): ServerInterceptor =>
    () =>
      void seen.push(name);
  const limit = {
    limit: new Limit<string>({ capacityPerOwner: 1 }),
    configKey: 'x',
  };
  const buckets = new TokenBuckets({ burst: 1, intervalMs: 1 });
  buckets.take = () => seen.push('limits') > 0;
  const chain = interceptorChain({
    metrics: spy('metrics'),
    trace: undefined,
    reportErrors: undefined,
    listCalls: spy('listed calls'),
    rememberCall: spy('child processes'),
    accessLog: {
      logger: createLogger({ format: 'text', level: 'error', stream: { write: () => {} } }),
      isLogged: () => seen.push('access log') > 0,
    },
    authentication: {
      token: undefined,
      transitioning: false,
      onChecked: () => seen.push('authentication'),
      onTokenError: () => {},
    },
    history: undefined,
    explain: undefined,
    changeOfRepository: () => undefined,
    problemOfFormat: () => undefined,
    injectFaults: undefined,
    limits: {
      limits: new Map([
        [
          METHOD.path,
          { rate: { buckets, configKey: 'x' }, authenticated: limit, unauthenticated: undefined },
        ],
      ]),
      metrics: limitMetrics(new MetricsRegistry(), { latencyBuckets: [1] }),
    },
    cacheInvalidation: { beginChange: async () => undefined, onCall: () => seen.push('caches') },
    maintenance: undefined,
    exceptions: { onException: () => seen.push('exceptions') },
    ...optional,
    ...(optional.trace && { trace: spy('trace') }),
    ...(optional.reportErrors && { reportErrors: spy('error reports') }),
    ...(optional.history && { history: spy('history') }),
    ...(optional.explain && { explain: spy('explanation') }),
    ...(optional.injectFaults && { injectFaults: spy('faults') }),
    ...(optional.maintenance && {
      maintenance: {
        isRunning: () => seen.push('maintenance') === 0,
        afterWrite: () => {},
        onRead: () => {},
      },
    }),
  });
  const context = new CallContext(METHOD, Metadata.from(), TEST_PEER, undefined, {});
  const call = {
    method: METHOD,
    context,
    headers: context.headers,
    peer: { ...TEST_PEER, transport: 'tcp' },
    targets: { repository: TARGET },
    logFields: {},
  } as unknown as ServerCall; // the interceptors use no other fields
  for (const interceptor of chain) {
    if (interceptor === mapStatus) seen.push('status');
    else if (interceptor === rewriteAborted) seen.push('text of ABORTED');
    else if (interceptor === addCostTrailer) seen.push('cost');
    const stage = await interceptor(call);
    await stage?.request?.(call);
    try {
      await stage?.end?.(call, new TypeError('x'));
    } catch {} // that of the status, or of the exception
  }
  return seen;
}

const NONE: ServerInterceptor = () => undefined;

test('interceptors are in the order of their reasons', async () => {
  const maintenance = { isRunning: () => false, afterWrite: () => {}, onRead: () => {} };

  assert.deepEqual(
    await noticed({
      trace: NONE,
      reportErrors: NONE,
      history: NONE,
      explain: NONE,
      injectFaults: NONE,
      maintenance,
    }),
    [
      'metrics',
      'trace',
      'access log',
      'error reports',
      'text of ABORTED',
      'status',
      'authentication',
      'listed calls',
      'history',
      'explanation',
      'faults',
      'limits',
      'cost',
      'child processes',
      'maintenance',
      'caches',
      'exceptions',
    ],
  );
});

test('interceptors that the configuration does not have are left out', async () => {
  assert.deepEqual(await noticed({}), [
    'metrics',
    'access log',
    'text of ABORTED',
    'status',
    'authentication',
    'listed calls',
    'limits',
    'cost',
    'child processes',
    'caches',
    'exceptions',
  ]);
});
