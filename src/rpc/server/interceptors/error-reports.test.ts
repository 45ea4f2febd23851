import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { Secret } from '#base/secret';
import { packageVersion } from '#platform/process/version';
import { Metadata } from '#rpc/common/metadata';
import { TEST_PEER } from '#testkit/clients/in-process-rpc';
import { lineLogger } from '#testkit/line-logger';
import { CommitService } from '#wire/gen/commit_pb';
import { methodInfo } from '#wire/method-info';
import { CallContext } from '../call-context.ts';
import type { ServerCall } from '../server-call.ts';
import { errorReports } from './error-reports.ts';

const METHOD = methodInfo(CommitService.method.findCommit);

interface Event {
  readonly tags: Record<string, string>;
  readonly transaction?: string;
  readonly fingerprint?: readonly string[];
  readonly environment?: string;
  readonly release: string;
}

/** Receives reports in place of Sentry. */
async function receiver() {
  const events: Event[] = [];
  const server = createServer(async (request, response) => {
    const lines = (await text(request)).split('\n');
    // An envelope: its header, the header of the item, the event.
    events.push(JSON.parse(lines[2] ?? '') as Event);
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening TCP server has such an address
  return {
    events,
    dsn: new Secret(`http://key@127.0.0.1:${port}/7`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function logged() {
  const { lines, logger } = lineLogger();
  return { lines, logger };
}

function call(): ServerCall {
  const headers = Metadata.from({ 'x-gitlab-correlation-id': 'C1', username: 'jane' });
  const context = new CallContext(METHOD, headers, TEST_PEER, undefined, {});
  const repository = { storageName: 's', relativePath: 'x.git', glRepository: '', glProjectPath: '' };
  const targets = { repository, pool: undefined, storageName: undefined, partitionId: undefined };
  // The reports use no other fields.
  return {
    method: METHOD,
    headers,
    context,
    targets,
    startedAtMs: performance.now() - 50,
  } as unknown as ServerCall;
}

test('errors of the server are reported with the facts of their call, those of clients are not', async () => {
  await using sentry = await receiver();
  const config = { sentryDsn: sentry.dsn, sentryEnvironment: 'test' };
  const reports = errorReports(config, logged().logger);
  const stage = await reports?.interceptor(call());

  await stage?.end?.(call(), undefined);
  for (const code of ['CANCELLED', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'FAILED_PRECONDITION', 'OK'] as const)
    await stage?.end?.(call(), new GitalyError(code, 'no'));
  await stage?.end?.(call(), new GitalyError('INTERNAL', 'broken'));
  await stage?.end?.(call(), new Error('plain'));
  await reports?.[Symbol.asyncDispose]();

  const byCode = new Map(sentry.events.map((event) => [event.tags['grpc.code'], event]));
  assert.deepEqual([...byCode.keys()].sort(), ['Internal', 'Unknown']);
  const event = byCode.get('Internal');
  assert.ok(event !== undefined);
  const { 'grpc.time_ms': timeMs, ...tags } = event.tags;
  assert.ok(Number(timeMs) >= 50 && Number.isInteger(Number(timeMs)), String(timeMs));
  assert.deepEqual(tags, {
    'grpc.meta.deadline_type': 'none',
    username: 'jane',
    'grpc.request.fullMethod': '/gitaly.CommitService/FindCommit',
    'grpc.meta.method_type': 'unary',
    'grpc.meta.method_operation': 'accessor',
    'grpc.meta.method_scope': 'repository',
    'grpc.request.repoStorage': 's',
    'grpc.request.repoPath': 'x.git',
    'grpc.request.glRepository': '',
    'grpc.request.glProjectPath': '',
    correlation_id: 'C1',
    'grpc.code': 'Internal',
    'grpc.method': '/gitaly.CommitService/FindCommit',
    system: 'grpc',
  });
  assert.deepEqual(
    [event.transaction, event.fingerprint, event.environment, event.release],
    [
      'CommitService::FindCommit',
      ['grpc', 'CommitService::FindCommit', 'Internal'],
      'test',
      `v${packageVersion()}`,
    ],
  );
});

test('an exception is reported with the method of its call, if it has one', async () => {
  await using sentry = await receiver();
  const reports = errorReports({ sentryDsn: sentry.dsn, sentryEnvironment: undefined }, logged().logger);

  reports?.exception(call(), new TypeError('x'));
  reports?.exception(undefined, new TypeError('y'));
  await reports?.[Symbol.asyncDispose]();

  const tags = sentry.events
    .map((event) => event.tags)
    .sort((a, b) => Object.keys(a).length - Object.keys(b).length);
  assert.deepEqual(tags, [{ panic: '1' }, { panic: '1', grpcMethod: METHOD.path }]);
  assert.ok(sentry.events.every((event) => JSON.stringify(event).includes('"stacktrace"')));
});

test('without a DSN nothing is reported, and one that cannot be used is logged', () => {
  const { lines, logger } = logged();
  const of = (dsn: string | undefined) =>
    errorReports(
      { sentryDsn: dsn === undefined ? dsn : new Secret(dsn), sentryEnvironment: undefined },
      logger,
    );

  assert.deepEqual([of(undefined), of(''), lines.length], [undefined, undefined, 0]);
  assert.equal(of('ftp://key@host/7'), undefined);

  const [line] = lines;
  assert.deepEqual(
    [line?.level, line?.msg, line?.error],
    ['warning', 'unable to initialize sentry client', 'the DSN is neither http nor https'],
  );
});
