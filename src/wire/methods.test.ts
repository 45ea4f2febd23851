import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService, FindCommitRequestSchema } from '#wire/gen/commit_pb';
import { ResolveConflictsRequestSchema } from '#wire/gen/conflicts_pb';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import {
  CreateObjectPoolRequestSchema,
  LinkRepositoryToObjectPoolRequestSchema,
} from '#wire/gen/objectpool_pb';
import { UserCommitFilesRequestSchema, UserRebaseConfirmableRequestSchema } from '#wire/gen/operations_pb';
import { BackupPartitionRequestSchema } from '#wire/gen/partition_pb';
import { RemoveAllRequestSchema } from '#wire/gen/repository_pb';
import { VoteTransactionRequestSchema } from '#wire/gen/transaction_pb';
import { type MethodInfo, methodInfo } from './method-info.ts';
import { gitalyServices, methodByPath, servedByGitaly } from './methods.ts';

function method(path: string): MethodInfo {
  const info = methodByPath(path);
  assert.ok(info, path);
  return info;
}

const all = gitalyServices.flatMap((service) => service.methods.map((desc) => methodInfo(desc)));

test('the table has every method of the 23 services, of which a gitaly serves 21', () => {
  assert.equal(gitalyServices.length, 23);
  assert.equal(new Set(gitalyServices).size, 23);
  assert.equal(all.length, 197);
  assert.deepEqual(
    gitalyServices.filter((service) => !servedByGitaly.includes(service)).map((service) => service.typeName),
    ['gitaly.PraefectInfoService', 'gitaly.RefTransaction'],
  );
});

test('a method is the same object by descriptor and by path', () => {
  const byPath = methodByPath('/gitaly.CommitService/FindCommit');

  assert.equal(byPath, methodInfo(CommitService.method.findCommit));
  assert.equal(byPath?.path, '/gitaly.CommitService/FindCommit');
  assert.equal(byPath?.service, 'gitaly.CommitService');
  assert.equal(byPath?.name, 'FindCommit');
  assert.equal(byPath?.input, CommitService.method.findCommit.input);
});

test('unknown paths have no method', () => {
  for (const path of [
    '',
    '/',
    '/gitaly.CommitService/findCommit',
    '/gitaly.CommitService',
    'gitaly.CommitService/FindCommit',
  ]) {
    assert.equal(methodByPath(path), undefined, path);
  }
});

test('operations, scopes and kinds have the counts of the interface', () => {
  const count = (pick: (info: MethodInfo) => string) => Object.groupBy(all.map(pick), (value) => value);
  const sizes = (groups: Partial<Record<string, string[]>>) =>
    Object.fromEntries(Object.entries(groups).map(([key, list]) => [key, list?.length]));

  assert.deepEqual(sizes(count((info) => info.operation)), {
    accessor: 115,
    mutator: 59,
    maintenance: 9,
    unknown: 14,
  });
  assert.deepEqual(sizes(count((info) => info.scope)), {
    repository: 163,
    storage: 19,
    partition: 1,
    none: 14,
  });
  assert.deepEqual(sizes(count((info) => info.kind)), {
    unary: 99,
    server_stream: 64,
    client_stream: 16,
    bidi_stream: 18,
  });
});

test('methods without an operation belong to services that a cluster proxy implements itself', () => {
  for (const info of all.filter((candidate) => candidate.operation === 'unknown'))
    assert.ok(info.intercepted, info.path);
});

test('releases come from the options', () => {
  const releases = (path: string) => [method(path).since, method(path).until];

  assert.deepEqual(releases('/gitaly.CommitService/FindCommit'), ['15.0', undefined]);
  assert.deepEqual(releases('/gitaly.WikiService/WikiFindPage'), ['15.0', '15.0']);
  assert.deepEqual(releases('/gitaly.SSHService/SSHUploadPack'), ['15.0', '16.7']);
  assert.deepEqual(releases('/gitaly.RepositoryService/FullPath'), ['16.7', '16.7']);
  assert.deepEqual(releases('/gitaly.RepositoryService/BackupRepository'), ['16.7', undefined]);
  assert.deepEqual(releases('/gitaly.RepositoryService/FastExport'), ['19.0', undefined]);
});

test('every call of repository scope has a target repository', () => {
  const repository = { storageName: 'default', relativePath: 'a.git' };
  for (const info of all.filter((candidate) => candidate.scope === 'repository')) {
    const request = create(info.input, everyWay(info.input, repository));

    assert.equal(info.targetRepository(request)?.relativePath, 'a.git', info.path);
  }
});

test('no call of another scope has a target repository, except votes', () => {
  const repository = { storageName: 'default', relativePath: 'a.git' };
  const found = all
    .filter((info) => info.scope !== 'repository')
    .filter((info) => info.targetRepository(create(info.input, everyWay(info.input, repository))));

  assert.deepEqual(
    found.map((info) => info.path),
    ['/gitaly.RefTransaction/VoteTransaction', '/gitaly.RefTransaction/StopTransaction'],
  );
});

test('the target repository is the object in the request, so that a proxy can rewrite it', () => {
  const request = create(FindCommitRequestSchema, {
    repository: { storageName: 'virtual', relativePath: 'a.git' },
  });

  const target = method('/gitaly.CommitService/FindCommit').targetRepository(request);

  assert.equal(target, request.repository);
});

test('an absent target repository is undefined', () => {
  const vote = method('/gitaly.RefTransaction/VoteTransaction');

  assert.equal(vote.targetRepository(create(VoteTransactionRequestSchema)), undefined);
});

test('the target repository of a stream is in the header, and not in later messages', () => {
  const repository = { storageName: 'default', relativePath: 'a.git' };
  const commitFiles = method('/gitaly.OperationService/UserCommitFiles');
  const rebase = method('/gitaly.OperationService/UserRebaseConfirmable');
  const resolve = method('/gitaly.ConflictsService/ResolveConflicts');
  const header = { case: 'header', value: { repository } } as const;

  const targets = [
    commitFiles.targetRepository(
      create(UserCommitFilesRequestSchema, { userCommitFilesRequestPayload: header }),
    ),
    rebase.targetRepository(
      create(UserRebaseConfirmableRequestSchema, { userRebaseConfirmableRequestPayload: header }),
    ),
    resolve.targetRepository(
      create(ResolveConflictsRequestSchema, { resolveConflictsRequestPayload: header }),
    ),
  ];

  assert.deepEqual(
    targets.map((target) => target?.relativePath),
    ['a.git', 'a.git', 'a.git'],
  );
  const action = { case: 'action', value: {} } as const;
  const apply = { case: 'apply', value: true } as const;
  const empty = { case: 'header', value: {} } as const;
  assert.equal(
    commitFiles.targetRepository(
      create(UserCommitFilesRequestSchema, { userCommitFilesRequestPayload: action }),
    ),
    undefined,
  );
  assert.equal(
    rebase.targetRepository(
      create(UserRebaseConfirmableRequestSchema, { userRebaseConfirmableRequestPayload: apply }),
    ),
    undefined,
  );
  assert.equal(
    commitFiles.targetRepository(
      create(UserCommitFilesRequestSchema, { userCommitFilesRequestPayload: empty }),
    ),
    undefined,
  );
  assert.equal(commitFiles.targetRepository(create(UserCommitFilesRequestSchema)), undefined);
});

test('a pool provides its repository, as target and as additional repository', () => {
  const pool = { repository: { storageName: 'default', relativePath: '@pools/p.git' } };
  const member = { storageName: 'default', relativePath: 'a.git' };
  const createPool = method('/gitaly.ObjectPoolService/CreateObjectPool');
  const link = method('/gitaly.ObjectPoolService/LinkRepositoryToObjectPool');
  const creation = create(CreateObjectPoolRequestSchema, { objectPool: pool, origin: member });
  const linking = create(LinkRepositoryToObjectPoolRequestSchema, { objectPool: pool, repository: member });

  assert.equal(createPool.targetRepository(creation)?.relativePath, '@pools/p.git');
  assert.equal(createPool.additionalRepository(creation)?.relativePath, 'a.git');
  assert.equal(link.targetRepository(linking)?.relativePath, 'a.git');
  assert.equal(link.additionalRepository(linking)?.relativePath, '@pools/p.git');
  assert.equal(
    createPool.targetRepository(create(CreateObjectPoolRequestSchema, { objectPool: {} })),
    undefined,
  );
});

test('the storage is read from the request field', () => {
  const removeAll = method('/gitaly.RepositoryService/RemoveAll');
  const backup = method('/gitaly.PartitionService/BackupPartition');
  const find = method('/gitaly.CommitService/FindCommit');

  assert.equal(
    removeAll.targetStorage(create(RemoveAllRequestSchema, { storageName: 'default' })),
    'default',
  );
  assert.equal(removeAll.targetStorage(create(RemoveAllRequestSchema)), '');
  assert.equal(backup.targetStorage(create(BackupPartitionRequestSchema, { storageName: 'other' })), 'other');
  assert.equal(
    find.targetStorage(create(FindCommitRequestSchema, { repository: { storageName: 'default' } })),
    undefined,
  );
});

test('methods of other packages have facts without operation and scope', () => {
  const check = methodInfo(Health.method.check);

  assert.equal(check.path, '/grpc.health.v1.Health/Check');
  assert.equal(check.operation, 'unknown');
  assert.equal(check.scope, 'none');
  assert.equal(check.kind, 'unary');
  assert.equal(methodInfo(BlobService.method.getBlob).kind, 'server_stream');
});

/**
 * Returns an init in which every message field is set, two levels deep: repositories to the given
 * one, and of a oneof the first case.
 */
function everyWay(
  desc: DescMessage,
  repository: MessageInitShape<DescMessage>,
  depth = 0,
): Record<string, unknown> {
  const init: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (field.fieldKind !== 'message' || field.message.typeName.startsWith('google.')) continue;
    const value =
      field.message.typeName === 'gitaly.Repository'
        ? repository
        : depth < 2
          ? everyWay(field.message, repository, depth + 1)
          : {};
    if (field.oneof === undefined) init[field.localName] = value;
    else init[field.oneof.localName] ??= { case: field.localName, value };
  }
  return init;
}
