import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RecordingCaller, recordingCaller } from '#testkit/clients/recording-caller';
import { BlobService as Blobs } from '#wire/gen/blob_pb';
import { CommitService as Commits } from '#wire/gen/commit_pb';
import { ConflictsService as Conflicts } from '#wire/gen/conflicts_pb';
import { ObjectPoolService as Pools } from '#wire/gen/objectpool_pb';
import { RefService as Refs } from '#wire/gen/ref_pb';
import { RepositoryService as Repositories } from '#wire/gen/repository_pb';
import {
  BlobService,
  CommitService,
  ConflictsService,
  ObjectPoolService,
  RefService,
  RepositoryService,
} from '../index.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git' };
const OTHER = { storageName: 'other', relativePath: 'b.git' };
const NONE = Buffer.alloc(0);
const bytes = (text: string) => Buffer.from(text);
const services = {
  ...{ blob: Blobs, commit: Commits, conflicts: Conflicts, objectPool: Pools },
  ...{ ref: Refs, repository: Repositories },
};

/** A call, and the RPC, timeout and first request that it makes. */
type Row = readonly [
  call: (given: RecordingCaller['caller']) => AsyncIterable<unknown> | Promise<unknown>,
  rpc: string,
  timeout: string,
  request: Record<string, unknown>,
];

async function check(rows: readonly Row[]): Promise<void> {
  for (const [call, ...expected] of rows) {
    const { caller, calls, scopes } = recordingCaller(services);
    const result = call(caller);
    await (Symbol.asyncIterator in result ? Array.fromAsync(result) : result);
    const made = calls.map(({ requests, rpc }, at) => [rpc, scopes[at]?.timeout, requests[0]]);
    assert.deepEqual(made, [expected]);
  }
}

const commits = (caller: RecordingCaller['caller']) => new CommitService(caller, REPOSITORY);
const refs = (caller: RecordingCaller['caller']) => new RefService(caller, REPOSITORY);
const blobs = (caller: RecordingCaller['caller']) => new BlobService(caller, REPOSITORY);
const repository = (caller: RecordingCaller['caller']) => new RepositoryService(caller, REPOSITORY);

test('calls about commits have the defaults of GitLab', async () => {
  const main = bytes('main');
  const [path, revision] = [bytes('a'), main];
  const message = { query: 'fix', limit: 1000, offset: 0, revision: NONE, path: NONE };
  await check([
    [(to) => commits(to).findAllCommits(), 'FindAllCommits', 'medium', { revision: NONE }],
    [
      (to) => commits(to).commitsByMessage('fix'),
      'CommitsByMessage',
      'medium',
      { ...message, globalOptions: { literalPathspecs: true } },
    ],
    [
      (to) => commits(to).commitsByMessage('fix', { literalPathspec: false, offset: 5 }),
      'CommitsByMessage',
      'medium',
      { ...message, offset: 5 },
    ],
    [(to) => commits(to).treeEntry('main', 'a'), 'TreeEntry', 'medium', { revision, path, limit: 0n }],
    [
      (to) => commits(to).divergingCommitCount('main', 'topic'),
      'CountDivergingCommits',
      'medium',
      { from: main, to: bytes('topic'), maxCount: 0 },
    ],
    [
      (to) => commits(to).listLastCommitsForTree('main', 'a'),
      'ListLastCommitsForTree',
      'medium',
      { revision: 'main', path, limit: 25, offset: 0 },
    ],
    [
      (to) => commits(to).listLastCommitsForTree('main', 'a', { literalPathspec: true }),
      'ListLastCommitsForTree',
      'medium',
      { revision: 'main', path, limit: 25, offset: 0, globalOptions: { literalPathspecs: true } },
    ],
    [(to) => commits(to).lastCommitForPath('main', 'a'), 'LastCommitForPath', 'fast', { revision, path }],
    [(to) => commits(to).languages(), 'CommitLanguages', 'long', { revision: NONE }],
    [
      (to) => commits(to).rawBlame('main', 'a'),
      'RawBlame',
      'medium',
      { revision, path, range: NONE, ignoreRevisionsBlob: NONE },
    ],
    [(to) => commits(to).commitStats('main'), 'CommitStats', 'medium', { revision }],
    [(to) => commits(to).lsFiles('main'), 'ListFiles', 'medium', { revision }],
    [(to) => commits(to).isAncestor('1', '2'), 'CommitIsAncestor', 'fast', { ancestorId: '1', childId: '2' }],
    [(to) => commits(to).getCommitMessages(['1']), 'GetCommitMessages', 'fast', { commitIds: ['1'] }],
    [
      (to) => commits(to).listCommitsByRefName(['main']),
      'ListCommitsByRefName',
      'medium',
      { refNames: [main] },
    ],
  ]);
});

test('calls about references have the defaults of GitLab', async () => {
  await check([
    [(to) => refs(to).defaultBranchName(), 'FindDefaultBranchName', 'fast', { headOnly: false }],
    [
      (to) => refs(to).defaultBranchName({ headOnly: true }),
      'FindDefaultBranchName',
      'fast',
      { headOnly: true },
    ],
    [(to) => refs(to).branches(), 'FindAllBranches', 'fast', {}],
    [(to) => refs(to).mergedBranches(), 'FindAllBranches', 'fast', { mergedOnly: true, mergedBranches: [] }],
    [
      (to) => refs(to).listRefs(),
      'ListRefs',
      'fast',
      { patterns: [bytes('refs/heads/')], pointingAtOids: [], peelTags: false },
    ],
    [
      (to) => refs(to).branchNamesContainingSha('1'),
      'ListBranchNamesContainingCommit',
      'medium',
      { commitId: '1', limit: 0 },
    ],
    [
      (to) => refs(to).tagNamesContainingSha('1'),
      'ListTagNamesContainingCommit',
      'medium',
      { commitId: '1', limit: 0 },
    ],
    [
      (to) => refs(to).findRefsByOid('1'),
      'FindRefsByOID',
      'medium',
      { oid: '1', limit: 0, sortField: 'refname', refPatterns: [] },
    ],
    [
      (to) => refs(to).deleteRefs({ exceptWithPrefix: ['refs/keep/'] }),
      'DeleteRefs',
      'medium',
      { refs: [], exceptWithPrefix: [bytes('refs/keep/')] },
    ],
    [
      (to) => refs(to).deleteRefs({ refs: ['refs/x'] }),
      'DeleteRefs',
      'medium',
      { refs: [bytes('refs/x')], exceptWithPrefix: [] },
    ],
    [(to) => refs(to).getTagMessages(['1']), 'GetTagMessages', 'fast', { tagIds: ['1'] }],
  ]);
});

test('calls about blobs have the defaults of GitLab', async () => {
  const place = [['main', 'a']] as const;
  const revisionPaths = [{ revision: 'main', path: bytes('a') }];
  await check([
    [(to) => blobs(to).getBlob('1'), 'GetBlob', 'fast', { oid: '1', limit: -1n }],
    [(to) => blobs(to).getBlobs(place), 'GetBlobs', 'fast', { revisionPaths, limit: -1n }],
    [(to) => blobs(to).getBlobTypes(place), 'GetBlobs', 'fast', { revisionPaths, limit: 0n }],
    [(to) => blobs(to).listBlobs(['main']), 'ListBlobs', 'medium', { revisions: ['main'] }],
    [(to) => blobs(to).listAllBlobs(), 'ListAllBlobs', 'medium', {}],
    [
      (to) => blobs(to).listLfsPointers(['main']),
      'ListLFSPointers',
      'medium',
      { revisions: ['main'], limit: 0 },
    ],
    [
      (to) => blobs(to).getNewLfsPointers('main'),
      'ListLFSPointers',
      'medium',
      { revisions: ['main', '--not', '--all'], limit: 0 },
    ],
    [
      (to) => blobs(to).getNewLfsPointers(['1', '2'], { notIn: ['old'], limit: 3 }),
      'ListLFSPointers',
      'medium',
      { revisions: ['1', '2', '--not', 'old'], limit: 3 },
    ],
    [
      (to) => new BlobService(to, { ...REPOSITORY, gitObjectDirectory: 'q' }).getNewLfsPointers('main'),
      'ListAllLFSPointers',
      'medium',
      { limit: 0 },
    ],
  ]);
});

test('calls about repositories have the defaults of GitLab', async () => {
  const search = { ref: bytes('main'), limit: 0, offset: 0 };
  await check([
    [
      (to) => repository(to).createRepository(),
      'CreateRepository',
      'fast',
      { defaultBranch: NONE, objectFormat: 0 },
    ],
    [(to) => repository(to).optimizeRepository(), 'OptimizeRepository', 'long', { strategy: 1 }],
    [
      (to) => repository(to).writeRef('HEAD', 'refs/heads/x'),
      'WriteRef',
      'fast',
      { ref: bytes('HEAD'), revision: bytes('refs/heads/x'), oldRevision: NONE },
    ],
    [
      (to) => repository(to).searchFilesByName('main', 'a'),
      'SearchFilesByName',
      'fast',
      { ...search, query: 'a', filter: '' },
    ],
    [
      (to) => repository(to).searchFilesByRegexp('main', 'a+', { limit: 4 }),
      'SearchFilesByName',
      'fast',
      { ...search, limit: 4, query: '.', filter: 'a+' },
    ],
    [
      (to) => repository(to).searchFilesByContent('main', 'a'),
      'SearchFilesByContent',
      'default',
      { ref: bytes('main'), query: 'a', chunkedResponse: true },
    ],
    [
      (to) => repository(to).forkRepository(OTHER),
      'CreateFork',
      'long',
      { sourceRepository: OTHER, revision: NONE },
    ],
    [
      (to) => repository(to).forkRepository(OTHER, 'main'),
      'CreateFork',
      'long',
      { sourceRepository: OTHER, revision: bytes('refs/heads/main') },
    ],
    [
      (to) => repository(to).getFileAttributes('main', ['a'], ['text']),
      'GetFileAttributes',
      'fast',
      { revision: bytes('main'), paths: ['a'], attributes: ['text'] },
    ],
    [(to) => repository(to).disconnectAlternates(), 'DisconnectGitAlternates', 'long', {}],
    [
      (to) => new ObjectPoolService(to, REPOSITORY).create(OTHER),
      'CreateObjectPool',
      'medium',
      { objectPool: { repository: REPOSITORY }, origin: OTHER },
    ],
    [
      (to) => new ConflictsService(to, REPOSITORY).listConflictFiles('1', '2'),
      'ListConflictFiles',
      'long',
      { ourCommitOid: '1', theirCommitOid: '2' },
    ],
  ]);
});
