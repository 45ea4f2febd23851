import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnalysisService } from '#wire/gen/analysis_pb';
import { BackupService } from '#wire/gen/backup_pb';
import { BlobService } from '#wire/gen/blob_pb';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { RaftService } from '#wire/gen/cluster_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { LifetimeService } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { HookService } from '#wire/gen/hook_pb';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { NamespaceService } from '#wire/gen/namespace_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { PartitionService } from '#wire/gen/partition_pb';
import { PraefectInfoService } from '#wire/gen/praefect_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RemoteService } from '#wire/gen/remote_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { RefTransaction } from '#wire/gen/transaction_pb';
import { WikiService } from '#wire/gen/wiki_pb';
import type { ServiceDescriptor } from './call/typed-client.ts';
import { type Connection, dial } from './index.ts';

const SERVICES: { readonly [name in keyof Connection]?: ServiceDescriptor } = {
  ...{ analysis: AnalysisService, backup: BackupService, blob: BlobService, cleanup: CleanupService },
  ...{ commit: CommitService, conflicts: ConflictsService, diff: DiffService, events: EventService },
  ...{ health: Health, hook: HookService, internal: InternalGitaly, lifetimes: LifetimeService },
  ...{ namespace: NamespaceService, objectPool: ObjectPoolService, operation: OperationService },
  ...{ partition: PartitionService, praefectInfo: PraefectInfoService, raft: RaftService },
  ...{ ref: RefService, refTransaction: RefTransaction, remote: RemoteService },
  ...{ repository: RepositoryService, server: ServerService, smartHttp: SmartHTTPService },
  ...{ ssh: SSHService, wiki: WikiService },
};

test('a connection has the functions of every service under its name', async () => {
  await using connection = await dial('unix:/nowhere/gitaly.socket');

  // The keys are those of a connection.
  for (const [name, service] of Object.entries(SERVICES))
    assert.equal(connection[name as keyof Connection], connection.client(service), name);
});

test('a shared connection is the same one, whose close has no effect', async () => {
  await using connection = await dial('unix:/nowhere/gitaly.socket');
  const shared = connection.share();
  assert.equal(shared.address, 'unix:/nowhere/gitaly.socket');

  await shared.close();
  assert.equal(connection.state, 'idle');
  assert.equal(shared.state, 'idle');
  await connection.close();

  assert.equal(shared.state, 'shutdown');
  await assert.rejects(shared.waitForReady(), { code: 'CANCELLED' });
});
