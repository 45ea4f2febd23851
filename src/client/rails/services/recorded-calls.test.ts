import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { recordingCaller } from '#testkit/clients/recording-caller';
import { AnalysisService as Analysis } from '#wire/gen/analysis_pb';
import { BlobService as Blobs } from '#wire/gen/blob_pb';
import { CommitService as Commits } from '#wire/gen/commit_pb';
import { ConflictsService as Conflicts } from '#wire/gen/conflicts_pb';
import { ChangedPaths_Status } from '#wire/gen/diff_pb';
import { GetObjectPoolResponseSchema, ObjectPoolService as Pools } from '#wire/gen/objectpool_pb';
import { RefService as Refs } from '#wire/gen/ref_pb';
import {
  FindLicenseResponseSchema,
  FindMergeBaseResponseSchema,
  FsckResponseSchema,
  RepositoryService as Repositories,
} from '#wire/gen/repository_pb';
import {
  AnalysisService,
  BlobService,
  CommitService,
  ConflictsService,
  RefService,
  RepositoryService,
} from '../index.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git' };
const OTHER = { storageName: 'other', relativePath: 'b.git' };
const services = {
  ...{ analysis: Analysis, blob: Blobs, commit: Commits, conflicts: Conflicts, objectPool: Pools },
  ...{ ref: Refs, repository: Repositories },
};

/** Services of a repository whose calls are recorded. */
function arrange() {
  const { caller, calls, scopes } = recordingCaller(services);
  return {
    calls,
    scopes,
    blobs: new BlobService(caller, REPOSITORY),
    commits: new CommitService(caller, REPOSITORY),
    analysis: new AnalysisService(caller, REPOSITORY),
    conflicts: new ConflictsService(caller, REPOSITORY),
    refs: new RefService(caller, REPOSITORY),
    repository: new RepositoryService(caller, REPOSITORY),
  };
}

test('calls that need a second storage name it', async () => {
  const { conflicts, repository, scopes } = arrange();

  await repository.fetchSourceBranch(OTHER, { sourceBranch: 'main', targetRef: 'refs/x' });
  await repository.forkRepository(OTHER);
  await repository.replicate(OTHER);
  await repository.replicate(OTHER, { partitioningHint: 'c.git' });
  await conflicts.resolveConflicts({ targetRepository: OTHER }, []);
  await conflicts.resolveConflicts({}, []);

  assert.deepEqual(
    scopes.map(({ partitioningHint, remoteStorage }) => [remoteStorage, partitioningHint]),
    [
      ['other', undefined],
      ['other', undefined],
      ['other', ''],
      ['other', 'c.git'],
      ['other', undefined],
      [undefined, undefined],
    ],
  );
});

test('an empty response means that nothing was found', async () => {
  const { blobs, commits, refs, repository } = arrange();

  assert.equal(await commits.treeEntry('main', 'a'), undefined);
  assert.equal(await commits.lastCommitForPath('main', 'a'), undefined);
  assert.equal(await refs.defaultBranchName(), undefined);
  assert.equal(await blobs.getBlob('1'), undefined);
  assert.equal(await repository.findMergeBase('1', '2'), undefined);
  assert.equal(await repository.findLicense(), undefined);
  assert.equal(await repository.objectPool(), undefined);
  assert.equal(await repository.fsck(), '');
});

test('updates of references are sent by the hundred, the repository only with the first', async () => {
  const { calls, refs } = arrange();
  const change = { reference: 'refs/heads/a', oldOid: '1', newOid: '2' };

  await refs.updateRefs(Array(101).fill(change));

  const [{ requests } = { requests: [] }] = calls;
  assert.deepEqual(
    requests.map((request) => Object(request).updates.length),
    [100, 1],
  );
  assert.deepEqual(Object(requests[1]).updates, [
    { reference: Buffer.from('refs/heads/a'), oldObjectId: Buffer.from('1'), newObjectId: Buffer.from('2') },
  ]);
});

test('without items no call is made', async () => {
  const { analysis, blobs, calls, commits } = arrange();

  assert.deepEqual(await commits.listCommitsByOid([]), []);
  assert.deepEqual(await Array.fromAsync(blobs.getBlobs([])), []);
  assert.deepEqual(await blobs.getBlobTypes([]), new Map());
  assert.deepEqual(await Array.fromAsync(blobs.batchLfsPointers([])), []);
  const submodule = { path: Buffer.from('lib'), status: 1, oldMode: 0, newMode: 0o160000 };
  assert.deepEqual(await Array.fromAsync(analysis.checkBlobsGenerated('1', '2', [submodule])), []);

  assert.deepEqual(calls, []);
});

test('files are looked for where they are: added ones in the head, others in the base', async () => {
  const { analysis, calls } = arrange();
  const file = (path: string, status: number) => ({
    ...{ path: Buffer.from(path), status, oldMode: 0o100644, newMode: 0o100644 },
  });
  const { ADDED, DELETED, MODIFIED } = ChangedPaths_Status;
  const submodule = { ...file('lib', MODIFIED), oldMode: 0o160000 };

  const files = [file('a', ADDED), file('b', MODIFIED), submodule, file('c', DELETED)];
  await Array.fromAsync(analysis.checkBlobsGenerated('base', 'head', files));

  const revisions = ['head:a', 'base:b', 'base:c'].map((revision) => Buffer.from(revision));
  assert.deepEqual(calls[0]?.requests, [
    { blobs: revisions.map((revision) => ({ revision, path: revision.subarray(-1) })) },
  ]);
  await Array.fromAsync(analysis.checkBlobsGenerated('base', 'head', [file('a', ADDED)]));
  assert.equal(calls.length, 2, 'also for a single file');
});

test('whole repositories are fetched, imported and bundled with the fields that are given', async () => {
  const { calls, repository, scopes } = arrange();

  await repository.fetchRemote({ force: true });
  await repository.importRepository({ url: 'https://example.com/a.git' });
  await repository.createFromBundle('bundle');
  await Array.fromAsync(repository.createBundle());
  assert.deepEqual(await repository.infoAttributes(), Buffer.alloc(0));

  assert.deepEqual(
    calls.map(({ requests, rpc }, at) => [rpc, scopes[at]?.timeout, requests]),
    [
      ['FetchRemote', 'long', [{ force: true }]],
      ['CreateRepositoryFromURL', 'long', [{ url: 'https://example.com/a.git' }]],
      ['CreateRepositoryFromBundle', 'long', [{}, { data: Buffer.from('bundle') }]],
      ['CreateBundle', 'long', [{}]],
      ['GetInfoAttributes', 'fast', [{}]],
    ],
  );
});

test('what was found is returned', async () => {
  const found: Readonly<Record<string, Message>> = {
    FindLicense: create(FindLicenseResponseSchema, { licenseShortName: 'mit' }),
    FindMergeBase: create(FindMergeBaseResponseSchema, { base: '1' }),
    Fsck: create(FsckResponseSchema, { error: Buffer.from('broken') }),
    GetObjectPool: create(GetObjectPoolResponseSchema, { objectPool: { repository: OTHER } }),
  };
  const { caller } = recordingCaller(services, ({ name, output }) => [found[name] ?? create(output)]);
  const repository = new RepositoryService(caller, REPOSITORY);

  assert.equal((await repository.findLicense())?.licenseShortName, 'mit');
  assert.equal(await repository.findMergeBase('a', 'b'), '1');
  assert.equal(await repository.fsck(), 'broken');
  assert.equal((await repository.objectPool())?.repository?.relativePath, 'b.git');
});
