import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callable } from '#rpc/common/grpc/grpc-method';
import { Metadata } from '#rpc/common/metadata';
import { signToken } from '#rpc/common/token-auth';
import { serve } from '#rpc/server/handler';
import type { ServerInterceptor } from '#rpc/server/server-call';
import { all, connectTo } from '#testkit/clients/in-process-rpc';
import { lineLogger } from '#testkit/line-logger';
import { RefService } from '#wire/gen/ref_pb';
import { praefectConfigFrom } from './config/load-praefect-config.ts';
import { interceptors } from './interceptors.ts';
import { createPraefectMetrics } from './metrics/praefect-metrics.ts';

const SECRET = 'secret';
const VIRTUAL_STORAGE = { name: 'default', node: [{ storage: 'a', address: 'unix:/a' }] };

/** Makes a call that has a mistake in its code, and returns what is known of it afterwards. */
async function failingCall(secret: string, transitioning = false) {
  const { lines, logger } = lineLogger();
  const metrics = createPraefectMetrics({
    latencyBuckets: [],
    reconciliationBuckets: [],
    storages: new Map([['default', ['a']]]),
  });
  const passed: string[] = [];
  const noted = (name: string): ServerInterceptor => {
    return () => ({ end: () => void passed.push(name) });
  };
  const exceptions: unknown[] = [];
  await using server = connectTo({
    services: [
      serve(RefService, {
        refExists: () => {
          throw new TypeError('mistake');
        },
      }),
    ],
    interceptors: await interceptors({
      config: praefectConfigFrom({
        ...{ virtual_storage: [VIRTUAL_STORAGE], socket_path: '/s', auth: { token: SECRET, transitioning } },
      } as never).config,
      ...{ logger, metrics },
      // The chain uses no other parts of them.
      reports: {
        interceptor: noted('reports'),
        exception: (_: unknown, each: unknown) => exceptions.push(each),
      } as never,
      faults: { interceptor: noted('faults') } as never,
      calls: { observers: [noted('observer')], interceptors: [noted('list')] },
    }),
  });
  const metadata = Metadata.from({ authorization: signToken(secret, Math.floor(Date.now() / 1000)) });
  const call = all(server.channel.invoke(callable(RefService.method.refExists), [{}], { metadata }));
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const counted = metrics.registry.render('text').match(/^gitaly_(?:auth|exceptions).* [1-9]$/gm);
  return { counted, message: error instanceof Error ? error.message : '', exceptions, lines, passed };
}

test('a mistake in the code of a call is counted, reported and logged', async () => {
  const { counted, exceptions, lines, message, passed } = await failingCall(SECRET);

  assert.equal(message, 'panic: mistake');
  assert.deepEqual(passed, ['faults', 'list', 'observer', 'reports']);
  assert.equal(exceptions.length, 1);
  const { level, method, error } = lines.find(({ msg }) => msg === 'grpc panic') ?? {};
  assert.deepEqual([level, method, error], ['error', '/gitaly.RefService/RefExists', 'mistake']);
  assert.deepEqual(counted, [
    'gitaly_authentications_total{enforced="true",status="ok"} 1',
    'gitaly_exceptions_total{scope="call"} 1',
  ]);
});

test('a call with a wrong token is counted, and goes no further', async () => {
  const { counted, exceptions, message, passed } = await failingCall('another secret');

  assert.equal(message, 'permission denied: wrong hmac signature');
  assert.deepEqual(passed, ['observer', 'reports']);
  assert.deepEqual(exceptions, []);
  assert.deepEqual(counted, [
    'gitaly_authentication_errors_total{error="wrong hmac signature",version="v2"} 1',
    'gitaly_authentications_total{enforced="true",status="denied"} 1',
  ]);
});

test('a call with a wrong token is served while the token is being introduced', async () => {
  const { counted, message } = await failingCall('another secret', true);

  assert.equal(message, 'panic: mistake');
  assert.deepEqual(counted, [
    'gitaly_authentication_errors_total{error="wrong hmac signature",version="v2"} 1',
    'gitaly_authentications_total{enforced="false",status="denied"} 1',
    'gitaly_exceptions_total{scope="call"} 1',
  ]);
});
