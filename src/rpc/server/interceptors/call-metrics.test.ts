import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { gitalyMetrics } from '#platform/metrics/gitaly-metrics';
import { grpcServerMetrics } from '#platform/metrics/grpc-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { callable } from '#rpc/common/grpc/grpc-method';
import { Metadata } from '#rpc/common/metadata';
import { all, connectTo, only } from '#testkit/clients/in-process-rpc';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { ServerService } from '#wire/gen/server_pb';
import { methodInfo } from '#wire/method-info';
import { serve } from '../handler.ts';
import type { CallStage, ServerCall } from '../server-call.ts';
import { countCalls } from './call-metrics.ts';

const findCommit = callable(CommitService.method.findCommit);
const getBlob = callable(BlobService.method.getBlob);

test('each call is counted with its status, its messages, its time and its client', async () => {
  const registry = new MetricsRegistry();
  const methodMetrics = grpcServerMetrics(registry, { latencyBuckets: [60], codes: ['OK'], methods: [] });
  const { clientRequest } = gitalyMetrics(registry);
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: ({ revision }) => {
          if (revision.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'empty');
          return {};
        },
      }),
      serve(BlobService, {
        getBlob: async function* () {
          for (let count = 0; count < 3; count++) yield { data: Buffer.of(count) };
        },
      }),
    ],
    interceptors: [countCalls({ methodMetrics, clientRequest })],
  });
  const { channel } = server;
  const metadata = Metadata.from({ client_name: 'rails', call_site: 'x', authorization: 'Bearer y' });

  await only(channel.invoke(findCommit, [{ revision: Buffer.from('x') }], { metadata, timeoutMs: 60_000 }));
  for (let count = 0; count < 2; count++) await assert.rejects(only(channel.invoke(findCommit, [{}])));
  await all(channel.invoke(getBlob, [{}]));

  const found = 'grpc_type="unary",grpc_service="gitaly.CommitService",grpc_method="FindCommit"';
  const blob = 'grpc_type="server_stream",grpc_service="gitaly.BlobService",grpc_method="GetBlob"';
  const series = new Map(
    registry
      .render('text')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [normal(line.slice(0, line.lastIndexOf(' '))), line.slice(line.lastIndexOf(' ') + 1)]),
  );
  const client = (labels: string): string | undefined =>
    series.get(normal(`gitaly_service_client_requests_total{${labels}}`));
  for (const [name, value] of [
    [`grpc_server_started_total{${found}}`, '3'],
    [`grpc_server_handled_total{${found},grpc_code="OK"}`, '1'],
    [`grpc_server_handled_total{${found},grpc_code="InvalidArgument"}`, '2'],
    [`grpc_server_msg_received_total{${found}}`, '3'],
    [`grpc_server_msg_sent_total{${found}}`, '1'],
    [`grpc_server_handling_seconds_bucket{${found},le="60"}`, '3'],
    [`grpc_server_handling_seconds_count{${found}}`, '3'],
    [`grpc_server_started_total{${blob}}`, '1'],
    [`grpc_server_handled_total{${blob},grpc_code="OK"}`, '1'],
    [`grpc_server_msg_received_total{${blob}}`, '1'],
    [`grpc_server_msg_sent_total{${blob}}`, '3'],
  ] as const)
    assert.equal(series.get(normal(name)), value, name);
  const method =
    'grpc_service="gitaly.CommitService",grpc_method="FindCommit",' +
    'method_operation="accessor",method_scope="repository"';
  assert.equal(
    client(
      `client_name="rails",call_site="x",auth_version="v2",grpc_code="OK",deadline_type="unknown",${method}`,
    ),
    '1',
  );
  assert.equal(
    client(
      'client_name="unknown",call_site="unknown",auth_version="unknown",grpc_code="InvalidArgument",' +
        `deadline_type="none",${method}`,
    ),
    '2',
  );
});

test('long names that clients choose are not kept: they are counted together', async () => {
  const registry = new MetricsRegistry();
  const methodMetrics = grpcServerMetrics(registry, { latencyBuckets: [], codes: ['OK'], methods: [] });
  const { clientRequest } = gitalyMetrics(registry);
  await using server = connectTo({
    services: [serve(CommitService, { findCommit: () => ({}) })],
    interceptors: [countCalls({ methodMetrics, clientRequest })],
  });
  for (const letter of 'ab') {
    const long = letter.repeat(20_000);
    const metadata = Metadata.from({ client_name: long, call_site: long, deadline_type: long });
    await only(server.channel.invoke(findCommit, [{}], { metadata, timeoutMs: 60_000 }));
  }

  const counted = registry.render('text').match(/^gitaly_service_client_requests_total.*/gm) ?? [];
  assert.equal(counted.length, 1);
  assert.match(counted[0] ?? '', /call_site="overflow",client_name="overflow",deadline_type="overflow".* 2$/);
});

/** Counts calls with the given headers, and returns the labels that were looked up and their counts. */
function counted(
  calls: readonly Partial<Parameters<NonNullable<CallStage['end']>>[0] & { failure: unknown }>[],
) {
  const registry = new MetricsRegistry();
  const labels: Record<string, string>[] = [];
  const { clientRequest } = gitalyMetrics(registry);
  const intercept = countCalls({
    methodMetrics: grpcServerMetrics(registry, { latencyBuckets: [], codes: [], methods: [] }),
    clientRequest: (each) => {
      labels.push({ ...each });
      return clientRequest(each);
    },
  });
  for (const { failure, ...facts } of calls) {
    const method = methodInfo(CommitService.method.findCommit);
    // The interceptor uses no other fields.
    const call = { method, headers: Metadata.from(), deadlineMs: undefined, ...facts } as ServerCall;
    const stage = intercept(call);
    if (stage !== undefined && !(stage instanceof Promise)) void stage.end?.(call, failure);
  }
  const counts = registry
    .render('text')
    .split('\n')
    .filter((line) => line.startsWith('gitaly_service_client_requests_total{'))
    .map((line) => Number(line.slice(line.lastIndexOf(' '))));
  return { labels, counts };
}

test('clients that differ in one label are counted apart, and others together', () => {
  const base = { client_name: 'rails', call_site: 'x', deadline_type: 'regular', authorization: 'y' };
  const { authorization: _, ...unauthenticated } = base;
  const kinds = [
    { headers: Metadata.from(base), deadlineMs: 1 },
    { headers: Metadata.from({ ...base, client_name: 'shell' }), deadlineMs: 1 },
    { headers: Metadata.from({ ...base, call_site: 'z' }), deadlineMs: 1 },
    { headers: Metadata.from({ ...base, deadline_type: 'limited' }), deadlineMs: 1 },
    { headers: Metadata.from(unauthenticated), deadlineMs: 1 },
    { headers: Metadata.from(base), deadlineMs: 1, failure: new GitalyError('ABORTED', 'x') },
  ];

  const { labels, counts } = counted([...kinds, ...kinds, ...kinds]);

  assert.deepEqual(counts, [3, 3, 3, 3, 3, 3]);
  assert.equal(labels.length, kinds.length, 'the counters of recent clients are not looked up again');
});

test('the counters of the last eight clients are remembered', () => {
  const clients = Array.from({ length: 9 }, (_, n) => ({ headers: Metadata.from({ client_name: `c${n}` }) }));

  assert.equal(counted([...clients.slice(0, 8), ...clients.slice(0, 8)]).labels.length, 8);
  assert.equal(counted([...clients, ...clients.slice(1)]).labels.length, 9);
  assert.equal(counted([...clients, ...clients.slice(0, 1)]).labels.length, 10);
});

test('what a client does not say is unknown, and the newer header for its name wins', () => {
  const names = { 'x-gitlab-client-name': 'web', client_name: 'old' };
  const method = methodInfo(ServerService.method.serverInfo);

  const { labels } = counted([
    { method, deadlineMs: 1, failure: new Error('x') },
    { headers: Metadata.from(names) },
  ]);

  assert.deepEqual(labels[0], {
    client_name: 'unknown',
    grpc_service: 'gitaly.ServerService',
    grpc_method: 'ServerInfo',
    call_site: 'unknown',
    auth_version: 'unknown',
    grpc_code: 'Unknown',
    deadline_type: 'unknown',
    method_operation: method.operation,
    method_scope: 'unknown',
  });
  assert.equal(labels[1]?.client_name, 'web');
  assert.equal(labels[1]?.deadline_type, 'none');
});

/** Returns a series with its labels in alphabetical order. */
function normal(series: string): string {
  const [, name = '', labels = ''] = /^([^{]*)(?:\{(.*)\})?$/.exec(series) ?? [];
  return `${name}{${labels.split(',').sort().join()}}`;
}
