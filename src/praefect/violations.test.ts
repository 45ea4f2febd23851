import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { holds } from '#base/invariant';
import { dial } from '#client/index';
import { loggerFor } from '#platform/log/logger';
import { watchThreadStarted } from '#testkit/measure/watch-thread';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { praefectConfigFrom } from './config/load-praefect-config.ts';
import { PraefectServer } from './praefect-server.ts';

test('praefect logs and counts a broken invariant', async (context) => {
  await using node = await startGitaly({ storages: ['node-1'] });
  const directory = makeScratchDirectory('praefect-violations');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const lines: Readonly<Record<string, unknown>>[] = [];
  const error = (fields: Readonly<Record<string, unknown>>, message: string): void =>
    void lines.push({ ...fields, msg: message });
  await using server = await PraefectServer.start({
    config: praefectConfigFrom({
      socket_path: join(directory, 'praefect.socket'),
      prometheus_listen_addr: '127.0.0.1:0',
      memory_queue_enabled: true,
      i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
      failover: { election_strategy: 'local', bootstrap_interval: '1ms' },
      virtual_storage: [{ name: 'default', node: [{ storage: 'node-1', address: node.address }] }],
    }).config,
    logger: loggerFor({ error, warn: () => {}, info: () => {} }),
  });

  holds(false, 'vote-weights', 'planted');

  const metrics = await (await fetch(`${server.monitoringAddress}/metrics`)).text();
  assert.match(metrics, /^gitaly_ts_invariant_violations_total\{invariant="vote-weights"\} 1$/m);
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.invariant, 'vote-weights');
  assert.equal(lines[0]?.msg, 'an invariant is broken');
});

test('praefect logs and counts a blocked event loop with the call and the stack', async () => {
  await using node = await startGitaly({ storages: ['node-1'] });
  const directory = makeScratchDirectory('praefect-blocked');
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const lines: Record<string, unknown>[] = [];
  const log = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    lines.push({ ...fields, msg: message });
    // A program's logger may block like this.
    if (fields['grpc.method'] === 'RepositoryExists' && fields['grpc.code'] !== undefined) waitsLong(1500);
  };
  const server = stack.use(
    await PraefectServer.start({
      config: praefectConfigFrom({
        socket_path: join(directory, 'praefect.socket'),
        prometheus_listen_addr: '127.0.0.1:0',
        memory_queue_enabled: true,
        i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
        failover: { election_strategy: 'local', bootstrap_interval: '1ms', monitor_interval: '50ms' },
        virtual_storage: [{ name: 'default', node: [{ storage: 'node-1', address: node.address }] }],
      }).config,
      logger: loggerFor({ error: log, warn: log, info: log }),
    }),
  );
  const connection = await dial(server.addresses[0] ?? '');
  stack.defer(() => connection.close());
  const repository = { storageName: 'default', relativePath: 'a/b.git' };
  await connection.server.serverInfo({});
  await watchThreadStarted();

  await connection.repository.repositoryExists({ repository }, { correlationId: 'the-one' });
  await until(() => lines.some(({ msg }) => msg === 'event loop was blocked'));
  const metrics = await (await fetch(`${server.monitoringAddress}/metrics`)).text();

  const line = lines.find(({ msg }) => msg === 'event loop was blocked');
  assert.equal(line?.['grpc.method'], 'RepositoryExists');
  assert.equal(line?.correlation_id, 'the-one');
  assert.match(String(line?.stack), /at waitsLong/);
  assert.match(metrics, /^gitaly_ts_event_loop_blocked_total\{.*grpc_method="RepositoryExists".*\} 1$/m);
});

/** Blocks the thread without using the processor, as a call of the system does. */
function waitsLong(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
