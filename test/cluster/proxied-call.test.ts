import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import type { Metadata } from '#rpc/common/metadata';
import { CommitService } from '#wire/gen/commit_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { repository } from './cluster-repository.ts';
import { startClusterOf } from './start-node.ts';

test('metadata passes in both directions, flags have their defaults, the log has the route', async () => {
  const received: Metadata[] = [];
  await using cluster = await startClusterOf({
    findCommit: (_, { headers, responseHeaders, trailers }) => {
      received.push(headers);
      responseHeaders.append('x-node', 'first');
      responseHeaders.append('x-node', 'second');
      trailers.append('x-cost', '3');
      return {};
    },
  });
  const seen: { headers?: Metadata; trailers?: Metadata } = {};

  await cluster.connection.commit.findCommit(
    { repository, revision: Buffer.from('main') },
    {
      metadata: { 'x-mine': 'kept' },
      featureFlags: { mailmap_options: false },
      correlationId: 'correlation',
      onHeaders: (headers) => {
        seen.headers = headers;
      },
      onTrailers: (trailers) => {
        seen.trailers = trailers;
      },
    },
  );

  const [headers] = received;
  assert.deepEqual(
    ['x-mine', 'virtual_storage', 'gitaly-feature-mailmap-options', 'gitaly-feature-ref-iterator'].map(
      (key) => headers?.get(key),
    ),
    ['kept', 'default', 'false', 'true'],
  );
  assert.deepEqual(seen.headers?.getAll('x-node'), ['first', 'second']);
  assert.equal(seen.trailers?.get('x-cost'), '3');
  const line = cluster.log.find(({ msg }) => msg === 'finished streaming call with code OK');
  assert.deepEqual(
    {
      component: line?.component,
      correlation_id: line?.correlation_id,
      method: line?.['grpc.method'],
      virtual_storage: line?.virtual_storage,
      relative_path: line?.relative_path,
      route: line?.route,
    },
    {
      component: 'praefect.StreamServerInterceptor',
      correlation_id: 'correlation',
      method: 'FindCommit',
      virtual_storage: 'default',
      relative_path: repository.relativePath,
      route: { replica_path: repository.relativePath, storage: 'gitaly-1' },
    },
  );

  await cluster.connection.server.serverInfo({});

  const intercepted = cluster.log.find(({ 'grpc.method': method }) => method === 'ServerInfo');
  assert.equal(intercepted?.component, 'praefect.UnaryServerInterceptor');
});

// A method that Praefect answers itself failed with `panic: premature EOF`.
test('malformed requests are refused with the texts of Go', async () => {
  await using cluster = await startClusterOf({ findCommit: () => ({}) });
  const channel = connectGrpc(connect(cluster.address.replace(/^unix:/, '')));
  const [noUtf8, broken] = [Buffer.from([0x0a, 0x03, 0x12, 0x01, 0xff]), Buffer.of(0xff)];

  for (const method of [CommitService.method.findCommit, RepositoryService.method.repositoryExists])
    for (const [bytes, reason] of [
      [noUtf8, 'string field contains invalid UTF-8'],
      [broken, 'proto: cannot parse invalid wire-format data'],
    ] as const)
      await assert.rejects(Array.fromAsync(channel.invokeRaw(callable(method), [bytes])), {
        code: 'INTERNAL',
        message: `grpc: failed to unmarshal the received message: ${reason}`,
      });
  await channel.close();
});
