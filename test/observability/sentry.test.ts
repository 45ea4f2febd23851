import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { packageVersion } from '#platform/process/version';
import { SentryClient } from '#platform/sentry/sentry-client';
import { initServed } from '#testkit/repositories/init-repository';
import { startSentry } from '#testkit/servers/sentry-server';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'x.git', glProjectPath: 'group/x' };

function start(dsn: string) {
  return startGitaly({ config: { logging: { sentry_dsn: dsn, sentry_environment: 'staging' } } });
}

test('a call that fails by a problem of the server is reported with its tags', async () => {
  await using sentry = await startSentry();
  await using gitaly = await start(sentry.dsn);
  initServed(gitaly, 'x.git');

  await assert.rejects(
    gitaly.connection.commit.findCommit(
      { repository, revision: Buffer.from('-x') },
      { metadata: { username: 'ann', 'x-gitlab-correlation-id': 'mine' } },
    ),
  );

  await until(() => sentry.requests.length === 1);
  const [request] = sentry.requests;
  assert.equal(request?.path, '/api/42/envelope/');
  assert.match(request?.authorization ?? '', /sentry_key=the-key, sentry_secret=the-secret$/);
  assert.deepEqual(JSON.parse(request?.item ?? ''), {
    type: 'event',
    length: Buffer.byteLength(JSON.stringify(request?.event)),
  });
  assert.partialDeepStrictEqual(request?.event, {
    release: `v${packageVersion()}`,
    environment: 'staging',
    message: "revision can't start with '-'",
    transaction: 'CommitService::FindCommit',
    fingerprint: ['grpc', 'CommitService::FindCommit', 'InvalidArgument'],
    tags: {
      'grpc.code': 'InvalidArgument',
      'grpc.method': '/gitaly.CommitService/FindCommit',
      'grpc.request.repoPath': 'x.git',
      'grpc.request.glProjectPath': 'group/x',
      'grpc.meta.method_operation': 'accessor',
      correlation_id: 'mine',
      username: 'ann',
      system: 'grpc',
    },
  });
  assert.doesNotMatch(JSON.stringify(request?.event), /the-secret|the-key/);
  assert.doesNotMatch(JSON.stringify(gitaly.log), /the-secret|the-key/);
});

test('what a client did wrong, and what is normal, is not reported', async () => {
  await using sentry = await startSentry();
  await using gitaly = await start(sentry.dsn);
  const { commit } = gitaly.connection;

  await assert.rejects(commit.findCommit({ repository, revision: Buffer.from('main') })); // NOT_FOUND
  await assert.rejects(commit.findCommit({ revision: Buffer.from('main') })); // INVALID_ARGUMENT

  await until(() => sentry.requests.length === 1);
  assert.equal(sentry.requests[0]?.event.tags['grpc.code'], 'InvalidArgument');
});

for (const { dsn, error } of [
  { dsn: 'https://secret@host', error: 'the DSN has no project' },
  { dsn: 'nonsense-secret', error: 'the DSN is no URL' },
]) {
  test(`a DSN that cannot be used is logged without its text: ${error}`, async () => {
    await using gitaly = await start(dsn);

    const line = gitaly.log.find(({ msg }) => msg === 'unable to initialize sentry client');
    assert.equal(line?.error, error);
    assert.doesNotMatch(JSON.stringify(gitaly.log), /secret/);
  });
}

function client(url: string, lines: string[] = []) {
  return new SentryClient({
    url,
    authorization: 'Sentry',
    release: 'v1',
    environment: undefined,
    logger: createLogger({ format: 'json', level: 'info', stream: { write: (line) => lines.push(line) } }),
    sendLimitMs: 1000,
  });
}

test('URLs are sent without passwords, long texts are cut, and an exception has its stack', async () => {
  await using sentry = await startSentry();
  {
    await using reports = client(sentry.url);
    const error = new TypeError(`fetching https://user:password@host/x ${'long '.repeat(1000)}`);
    reports.report({ error, tags: { where: 'https://u:password@h/' }, withStack: true });
  }

  const event = sentry.requests[0]?.event;
  assert.doesNotMatch(JSON.stringify(event), /password/);
  assert.ok((event?.message.length ?? 9999) < 1100);
  assert.equal(event?.environment, undefined);
  const [exception] = event?.exception.values ?? [];
  assert.equal(exception?.type, 'TypeError');
  assert.match(JSON.stringify(exception?.stacktrace), /sentry\.test\.ts/);
});

test('a refusal for too many reports ends them for the time that Sentry names', async () => {
  await using sentry = await startSentry(429, { 'retry-after': '60' });
  const lines: string[] = [];
  {
    await using reports = client(sentry.url, lines);
    reports.report({ error: new Error('one'), tags: {} });
    await until(() => lines.length > 0);
    reports.report({ error: new Error('two'), tags: {} });
  }

  assert.equal(sentry.requests.length, 1);
  assert.match(lines.join(''), /"error":"Sentry returned 429".*error reports could not be sent/);
});

test('an outage costs a bounded number of requests and one log line', async () => {
  const lines: string[] = [];
  {
    await using reports = client('http://127.0.0.1:1', lines);
    for (let index = 0; index < 100; index++) reports.report({ error: new Error('x'), tags: {} });
  }

  assert.equal(lines.length, 1);
});
