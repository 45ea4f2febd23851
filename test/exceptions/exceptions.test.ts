import assert from 'node:assert/strict';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { FLUSH } from '#testkit/repositories/push';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { type Request, THROWS_LATER, THROWS_NOW } from './throw-on-request.ts';

const PRELOAD = join(import.meta.dirname, 'throw-on-request.ts');
/** The grace period after an exception, and some time to end. */
const STOP_LIMIT_MS = 14_000;

function start(): Promise<GitalyProcess> {
  return startGitalyProcess({ preload: PRELOAD, everyListener: true });
}

function counted(gitaly: GitalyProcess, scope: string): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(`http://${gitaly.monitoring}/metrics`, (response) => text(response).then(resolve, reject)).on(
    'error',
    reject,
  );
  const line = new RegExp(`^gitaly_exceptions_total\\{scope="${scope}"\\} (\\d+)$`, 'm');
  return promise.then((metrics) => line.exec(metrics)?.[1]);
}

const repositoryAt = (relativePath: string) => ({ storageName: 'default', relativePath });

for (const [when, name, message] of [
  ['while its handler runs', THROWS_NOW, 'panic: thrown now'],
  ['in a callback of a call', THROWS_LATER, 'panic: thrown later'],
] as const) {
  test(`an exception ${when} ends that call and no other`, async () => {
    await using gitaly = await start();
    const connection = await gitaly.connect();
    const { repository, ssh } = connection;
    await repository.createRepository({ repository: repositoryAt('x.git') });
    const input = Promise.withResolvers<{ stdin: Buffer }>();
    const other = ssh.sshUploadPack(
      (async function* () {
        yield { repository: repositoryAt('x.git') };
        yield await input.promise;
      })(),
    );

    await assert.rejects(
      repository.repositorySize({ repository: repositoryAt(`${name}.git`) }, { correlationId: 'the-call' }),
      { code: 'INTERNAL', message },
    );

    input.resolve({ stdin: Buffer.from(FLUSH) });
    for await (const _response of other);
    await repository.objectFormat({ repository: repositoryAt('x.git') });
    await until(() => /msg="grpc panic"/.test(gitaly.log()));
    assert.match(gitaly.log(), /msg="grpc panic" backtrace="[^"]*throw-on-request\.ts/);
    assert.match(
      gitaly.log(),
      /msg="grpc panic".* correlation_id=the-call .*method=\/gitaly\.RepositoryService/,
    );
    assert.equal(await counted(gitaly, 'call'), '1');
  });
}

test('an error of a connection that nobody listens for ends nothing', async () => {
  await using gitaly = await start();
  const { repository } = await gitaly.connect();

  await gitaly.ask({ request: 'lost connection' });

  await repository.createRepository({ repository: repositoryAt('x.git') });
  assert.equal(await counted(gitaly, 'connection'), '1');
});

for (const request of ['throw', 'reject'] as const satisfies Request[]) {
  test(`after an exception outside of calls (${request}) the server drains and exits with 1`, async () => {
    await using gitaly = await start();
    const { repository, ssh } = await gitaly.connect();
    await repository.createRepository({ repository: repositoryAt('x.git') });
    const input = Promise.withResolvers<{ stdin: Buffer }>();
    const running = ssh.sshUploadPack(
      (async function* () {
        yield { repository: repositoryAt('x.git') };
        yield await input.promise;
      })(),
    );
    const responses = running[Symbol.asyncIterator]();
    await responses.next();

    await gitaly.ask({ request });
    await until(() => gitaly.log().includes('starting grace period'));
    input.resolve({ stdin: Buffer.from(FLUSH) });
    while ((await responses.next()).done !== true);

    assert.equal(await gitaly.exited, 1);
    assert.match(gitaly.log(), /msg="uncaught exception: the server stops" backtrace=/);
  });
}

test('a call that does not end holds a server with an exception for a limited time', async () => {
  await using gitaly = await start();
  const { repository, ssh } = await gitaly.connect();
  await repository.createRepository({ repository: repositoryAt('x.git') });
  const running = ssh.sshUploadPack(
    (async function* () {
      yield { repository: repositoryAt('x.git') };
      await new Promise(() => {});
    })(),
  );
  const responses = running[Symbol.asyncIterator]();
  await responses.next();
  const startedAt = performance.now();

  await gitaly.ask({ request: 'throw' });

  await assert.rejects(async () => {
    while ((await responses.next()).done !== true);
  });
  assert.equal(await gitaly.exited, 1);
  assert.ok(performance.now() - startedAt < STOP_LIMIT_MS);
});
