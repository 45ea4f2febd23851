import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';

// The node stayed healthy: praefect sent it reads, and verified its replicas again and again.
test('a storage that is removed under a running server makes it unhealthy until it is back', async () => {
  await using gitaly = await startGitaly({ config: { prometheus_listen_addr: '127.0.0.1:0' } });
  const { health, server, repository } = gitaly.connection;
  const storage = gitaly.storagePath();
  const status = async (): Promise<Status> => (await health.check({})).status;
  const monitoring = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
  const probe = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://${String(monitoring)}${path}`);
    return [response.status, await response.text()];
  };
  await repository.createRepository({ repository: { storageName: 'default', relativePath: 'a.git' } });
  const abort = new AbortController();
  const watched = health.watch({}, { signal: abort.signal })[Symbol.asyncIterator]();

  assert.equal((await watched.next()).value?.status, Status.SERVING);
  assert.deepEqual(await probe('/-/ready'), [200, 'ready\n']);

  renameSync(storage, `${storage}-away`);
  await until(async () => (await status()) === Status.NOT_SERVING);
  assert.equal((await watched.next()).value?.status, Status.NOT_SERVING);
  const problem = `storage default: ${storage}: no such file or directory`;
  assert.deepEqual(await probe('/-/ready'), [503, `not ready\n${problem}\n`]);
  assert.equal((await probe('/-/healthy'))[0], 200);
  const { Result } = await server.readinessCheck({});
  assert.equal(Result.case, 'failureResponse');
  assert.deepEqual(
    Result.value.failedChecks.map(({ name, errorMessage }) => [name, errorMessage]),
    [['storages', problem]],
  );
  assert.equal((await health.list({})).statuses['']?.status, Status.NOT_SERVING);
  await assert.rejects(
    repository.createRepository({ repository: { storageName: 'default', relativePath: 'b.git' } }),
    { code: 'NOT_FOUND', message: 'storage does not exist' },
  );
  assert.equal(await status(), Status.NOT_SERVING, 'no call has created the directory');

  writeFileSync(storage, 'a file');
  await until(async () => (await probe('/-/ready'))[1].endsWith('is not a directory\n'));
  rmSync(storage);
  renameSync(`${storage}-away`, storage);
  await until(async () => (await status()) === Status.SERVING);
  assert.equal((await watched.next()).value?.status, Status.SERVING);
  assert.equal((await server.readinessCheck({})).Result.case, 'okResponse');
  abort.abort();
  await watched.next().catch(() => {});
});
