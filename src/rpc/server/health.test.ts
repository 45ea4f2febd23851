import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/in-process-rpc';
import { Health, HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import { healthService } from './health.ts';

test('the server as a whole is serving', async () => {
  await using server = connectTo({ services: [healthService()] });

  assert.equal(
    (await only(server.channel.invoke(callable(Health.method.check), [{}]))).status,
    Status.SERVING,
  );
  assert.deepEqual(
    Object.keys((await only(server.channel.invoke(callable(Health.method.list), [{}]))).statuses),
    [''],
  );
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
  await using server = connectTo({ services: [healthService()] });

  for (const [service, status] of [
    ['', Status.SERVING],
    ['other', Status.SERVICE_UNKNOWN],
  ] as const) {
    for await (const response of server.channel.invoke(callable(Health.method.watch), [{ service }])) {
      assert.equal(response.status, status);
      break;
    }
  }
});

test('health needs no authentication', () => {
  assert.equal(healthService().public, true);
});
