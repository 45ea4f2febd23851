import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { until } from '#testkit/until';
import { Health, HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import { serve } from './handler.ts';
import { healthService } from './health.ts';

test('the server as a whole is serving', async () => {
  await using server = connectTo({ services: [healthService()] });

  assert.equal(
    (await only(server.channel.invoke(callable(Health.method.check), [{}]))).status,
    Status.SERVING,
  );
  const { statuses } = await only(server.channel.invoke(callable(Health.method.list), [{}]));
  assert.deepEqual(Object.keys(statuses), ['']);
  assert.equal(statuses['']?.status, Status.SERVING);
});

test('a server that cannot do its work is not serving, and Watch sends each change', async () => {
  let problems: readonly string[] = ['a storage is gone'];
  await using server = connectTo({ services: [healthService({ problems: async () => problems })] });
  const check = async () => (await only(server.channel.invoke(callable(Health.method.check), [{}]))).status;
  const call = server.channel.invoke(callable(Health.method.watch), [{}]);
  const responses = call[Symbol.asyncIterator]();

  assert.equal(await check(), Status.NOT_SERVING);
  const { statuses } = await only(server.channel.invoke(callable(Health.method.list), [{}]));
  assert.equal(statuses['']?.status, Status.NOT_SERVING);
  assert.equal((await responses.next()).value?.status, Status.NOT_SERVING);
  problems = [];
  assert.equal((await responses.next()).value?.status, Status.SERVING);
  assert.equal(await check(), Status.SERVING);

  const next = responses.next().catch(() => {});
  call.cancel();
  await next;
  await until(() => server.server.activeCalls === 0);
});

test('no other service name exists', async () => {
  await using server = connectTo({ services: [healthService()] });

  await assert.rejects(
    only(server.channel.invoke(callable(Health.method.check), [{ service: 'gitaly.CommitService' }])),
    {
      code: 'NOT_FOUND',
      message: 'unknown service',
    },
  );
});

test('Watch sends the status once and stays open until the client disconnects', async () => {
  let asked = 0;
  const problems = async (): Promise<readonly string[]> => {
    asked++;
    return [];
  };
  await using server = connectTo({ services: [healthService({ problems })] });

  for (const [service, status] of [
    ['', Status.SERVING],
    ['other', Status.SERVICE_UNKNOWN],
  ] as const) {
    const call = server.channel.invoke(callable(Health.method.watch), [{ service }]);
    const responses = call[Symbol.asyncIterator]();
    assert.equal((await responses.next()).value?.status, status);
    let isOver = false;
    const next = responses.next().catch(() => {});
    void next.then(() => {
      isOver = true;
    });
    // It was read again, and was the same.
    await until(() => service !== '' || asked > 1);
    await settle();
    assert.deepEqual([isOver, server.server.activeCalls], [false, 1]);

    call.cancel();
    await next;
    await until(() => server.server.activeCalls === 0);
  }
});

test('health needs no authentication, unlike other services', () => {
  assert.equal(healthService().public, true);
  assert.equal(serve(Health, {}).public, false);
});
