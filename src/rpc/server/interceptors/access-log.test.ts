import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { LogLevel } from '#platform/log/logger';
import { callable } from '#rpc/common/grpc/grpc-method';
import { Metadata } from '#rpc/common/metadata';
import { all, connectTo, only } from '#testkit/clients/in-process-rpc';
import { lineLogger } from '#testkit/line-logger';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService, FindCommitRequestSchema } from '#wire/gen/commit_pb';
import { serve } from '../handler.ts';
import { type AccessLogOptions, accessLog } from './access-log.ts';

const findCommit = callable(CommitService.method.findCommit);
const getBlob = callable(BlobService.method.getBlob);
const REPOSITORY = {
  storageName: 'default',
  relativePath: 'a/b.git',
  glRepository: 'project-1',
  glProjectPath: 'group/project',
};

interface LoggedOptions {
  readonly level?: LogLevel;
  readonly isLogged?: boolean;
  readonly options?: Partial<AccessLogOptions>;
}

function logged({ level = 'info', isLogged = true, options = {} }: LoggedOptions = {}) {
  const { lines, logger } = lineLogger(level);
  const server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: ({ revision }, { log }) => {
          log.add({ 'handler.field': 5 });
          if (revision.length === 0) return {};
          throw new GitalyError('FAILED_PRECONDITION', 'no', { metadata: { reference: 'refs/heads/x' } });
        },
      }),
      serve(BlobService, {
        getBlob: async function* () {
          yield { data: Buffer.alloc(100) };
          throw new GitalyError('UNKNOWN', 'half of it'); // the error has no metadata
        },
      }),
    ],
    interceptors: [accessLog({ logger, isLogged: () => isLogged, ...options })],
  });
  return { lines, server };
}

test('the line of a call has the fields of Gitaly', async () => {
  const { lines, server } = logged();
  await using _ = server;
  const metadata = Metadata.from({
    'x-gitlab-correlation-id': 'C1',
    'x-gitlab-client-name': 'gitlab-web',
    call_site: 'Projects#show',
    deadline_type: 'regular',
    authorization: 'Bearer v2.x.1',
    remote_ip: '10.0.0.1',
    user_id: '7',
    username: 'jane',
    'gitaly-feature-some-flag': 'true',
  });
  const request = create(FindCommitRequestSchema, { repository: REPOSITORY });
  const before = Date.now();

  await only(server.channel.invoke(findCommit, [request], { metadata, timeoutMs: 60_000 }));

  const [line = {}] = lines;
  const {
    'grpc.time_ms': timeMs,
    'grpc.start_time': start,
    'grpc.request.deadline': deadline,
    ...rest
  } = line;
  assert.ok(typeof timeMs === 'number' && timeMs > 0);
  const startedAt = new Date(String(start)).getTime();
  assert.ok(startedAt >= before && startedAt <= Date.now(), String(start));
  const leftMs = new Date(String(deadline)).getTime() - startedAt;
  assert.ok(leftMs > 30_000 && leftMs <= 61_000, String(deadline));
  const { time, level, pid, ...fields } = rest;
  assert.equal(level, 'info');
  assert.deepEqual(fields, {
    msg: 'finished unary call with code OK',
    component: 'gitaly.UnaryServerInterceptor',
    system: 'grpc',
    'span.kind': 'server',
    'grpc.service': 'gitaly.CommitService',
    'grpc.method': 'FindCommit',
    'grpc.code': 'OK',
    'grpc.request.fullMethod': '/gitaly.CommitService/FindCommit',
    'grpc.request.payload_bytes': toBinary(FindCommitRequestSchema, request).length,
    'grpc.response.payload_bytes': 0,
    'grpc.meta.method_type': 'unary',
    'grpc.meta.method_operation': 'accessor',
    'grpc.meta.method_scope': 'repository',
    'grpc.meta.client_name': 'gitlab-web',
    'grpc.meta.call_site': 'Projects#show',
    'grpc.meta.deadline_type': 'regular',
    'grpc.meta.auth_version': 'v2',
    'grpc.request.repoStorage': 'default',
    'grpc.request.repoPath': 'a/b.git',
    'grpc.request.glRepository': 'project-1',
    'grpc.request.glProjectPath': 'group/project',
    'peer.address': 'test',
    correlation_id: 'C1',
    remote_ip: '10.0.0.1',
    user_id: '7',
    username: 'jane',
    feature_flags: 'some_flag',
    'handler.field': 5,
  });
});

test('a refusal is logged with its code, its text and the facts of its error', async () => {
  const { lines, server } = logged();
  await using _ = server;

  await assert.rejects(only(server.channel.invoke(findCommit, [{ revision: Buffer.from('x') }])));

  const [line = {}] = lines;
  assert.equal(line.msg, 'finished unary call with code FailedPrecondition');
  assert.equal(line.level, 'warning');
  assert.equal(line['grpc.code'], 'FailedPrecondition');
  assert.equal(line.error, 'no');
  assert.deepEqual(line.error_metadata, { reference: 'refs/heads/x' });
  assert.equal(line['grpc.meta.deadline_type'], 'none');
  assert.equal('grpc.meta.auth_version' in line, false);
  assert.equal('grpc.request.repoPath' in line, false);
});

test('a call without a deadline has none, whatever the client says', async () => {
  const { lines, server } = logged();
  await using _ = server;
  const metadata = Metadata.from({ deadline_type: 'limited' });

  await only(server.channel.invoke(findCommit, [{}], { metadata }));

  assert.equal(lines[0]?.['grpc.meta.deadline_type'], 'none');
});

test('a stream that breaks off is logged with what it had sent', async () => {
  const { lines, server } = logged();
  await using _ = server;

  await assert.rejects(all(server.channel.invoke(getBlob, [{ repository: REPOSITORY }])));

  const [line = {}] = lines;
  assert.equal(line.msg, 'finished streaming call with code Unknown');
  assert.equal(line.component, 'gitaly.StreamServerInterceptor');
  assert.equal(line.level, 'error');
  assert.equal(line.error, 'half of it');
  assert.equal('error_metadata' in line, false);
  assert.equal(line['grpc.response.payload_bytes'], 102);
  assert.equal(line['grpc.request.repoPath'], 'a/b.git');
});

test('a line has nothing of the line before it, and each code its own text', async () => {
  const { lines, server } = logged();
  await using _ = server;

  await assert.rejects(only(server.channel.invoke(findCommit, [{ revision: Buffer.from('x') }])));
  await only(server.channel.invoke(findCommit, [{}]));
  await assert.rejects(only(server.channel.invoke(findCommit, [{ revision: Buffer.from('x') }])));

  assert.deepEqual(
    lines.map(({ error, level, msg }) => [level, msg, error]),
    [
      ['warning', 'finished unary call with code FailedPrecondition', 'no'],
      ['info', 'finished unary call with code OK', undefined],
      ['warning', 'finished unary call with code FailedPrecondition', 'no'],
    ],
  );
});

test('a proxy is logged by its name, with the kind as which it serves a call', async () => {
  const { lines, server } = logged({ options: { program: 'praefect', kindOf: () => 'bidi_stream' } });
  await using _ = server;

  await only(server.channel.invoke(findCommit, [{}]));

  const [line = {}] = lines;
  assert.equal(line.component, 'praefect.StreamServerInterceptor');
  assert.equal(line.msg, 'finished streaming call with code OK');
  assert.equal(line['grpc.meta.method_type'], 'bidi_stream');
});

test('calls that are filtered, and lines below the level, are not logged', async () => {
  for (const options of [{ isLogged: false }, { level: 'error' }] as const) {
    const { lines, server } = logged(options);
    await using _ = server;

    await only(server.channel.invoke(findCommit, [{}]));

    assert.deepEqual(lines, []);
  }
});
