import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Connection } from '#client/connection';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
const oid = '1'.repeat(40);
const user = { name: Buffer.from('u'), email: Buffer.from('u@x'), glId: 'user-1', glUsername: 'u' };
const main = Buffer.from('main');

const CALLS: Readonly<Record<string, (connection: Connection) => Promise<unknown>>> = {
  ObjectFormat: ({ repository: service }) => service.objectFormat({ repository }),
  FindCommit: ({ commit }) => commit.findCommit({ repository, revision: main }),
  CommitStats: ({ commit }) => commit.commitStats({ repository, revision: main }),
  GetCommitSignatures: ({ commit }) =>
    Array.fromAsync(commit.getCommitSignatures({ repository, commitIds: [oid] })),
  GetRawChanges: ({ repository: service }) =>
    Array.fromAsync(service.getRawChanges({ repository, fromRevision: oid, toRevision: oid })),
  DeleteRefs: ({ ref }) => ref.deleteRefs({ repository, refs: [Buffer.from('refs/heads/x')] }),
  UserFFBranch: ({ operation }) => operation.userFFBranch({ repository, branch: main, commitId: oid, user }),
};

// Expected text: Gitaly 19.0. The text was `flushing: write |1: broken pipe` for calls that read
// objects, and lacked the prefix for the others.
for (const [name, call] of Object.entries(CALLS)) {
  test(`${name} names the unknown object format of a repository`, async () => {
    await using gitaly = await startGitaly();
    makeUnknown(gitaly.storagePath());

    await assert.rejects(call(gitaly.connection), {
      code: 'INTERNAL',
      message: 'detecting object hash: unknown object format: "md5"',
    });
  });
}

const revision = main;
const name = Buffer.from('refs/heads/x');

/** Recorded from Gitaly 19.0: the step that the error names, and the call. */
const STEPS: readonly (readonly [
  method: string,
  step: string,
  call: (connection: Connection) => Promise<unknown>,
])[] = [
  [
    'GetBlob',
    'create object reader: detecting object hash',
    ({ blob }) => Array.fromAsync(blob.getBlob({ repository, oid, limit: -1n })),
  ],
  [
    'ListCommits',
    'creating object reader: detecting object hash',
    ({ commit }) => Array.fromAsync(commit.listCommits({ repository, revisions: ['main'] })),
  ],
  [
    'ListAllCommits',
    'creating object reader: detecting object hash',
    ({ commit }) => Array.fromAsync(commit.listAllCommits({ repository })),
  ],
  [
    'LastCommitForPath',
    'detecting object hash',
    ({ commit }) => commit.lastCommitForPath({ repository, revision, path: Buffer.from('a') }),
  ],
  [
    'CommitDiff',
    'detecting object format',
    ({ diff }) => Array.fromAsync(diff.commitDiff({ repository, leftCommitId: oid, rightCommitId: oid })),
  ],
  [
    'FindAllBranches',
    'creating object reader: detecting object hash',
    ({ ref }) => Array.fromAsync(ref.findAllBranches({ repository })),
  ],
  [
    'WriteRef',
    'detecting object format',
    ({ repository: service }) => service.writeRef({ repository, ref: name, revision: Buffer.from(oid) }),
  ],
  [
    'UserDeleteBranch',
    'detecting object format',
    ({ operation }) => operation.userDeleteBranch({ repository, branchName: main, user }),
  ],
  [
    'UserDeleteTag',
    'detecting object format',
    ({ operation }) => operation.userDeleteTag({ repository, tagName: main, user }),
  ],
  [
    'FetchRemote',
    'fetch remote: detecting object hash',
    ({ repository: service }) =>
      service.fetchRemote({ repository, remoteParams: { url: 'http://127.0.0.1:1/x.git' } }),
  ],
];

for (const [method, step, call] of STEPS) {
  test(`${method} names the step that needs the object format`, async () => {
    await using gitaly = await startGitaly();
    makeUnknown(gitaly.storagePath());

    await assert.rejects(call(gitaly.connection), {
      code: 'INTERNAL',
      message: `${step}: unknown object format: "md5"`,
    });
  });
}

test('an error with a reason of its own keeps it, whatever the object format is', async () => {
  await using gitaly = await startGitaly();
  makeUnknown(gitaly.storagePath());

  const call = gitaly.connection.commit.lastCommitForPath({ repository });

  await assert.rejects(call, { code: 'INVALID_ARGUMENT', message: 'empty revision' });
});

function makeUnknown(storage: string): void {
  const path = join(storage, repository.relativePath);
  initRepository(path);
  gitOutput(path, ['config', 'core.repositoryFormatVersion', '1']);
  appendFileSync(join(path, 'config'), '[extensions]\n\tobjectformat = md5\n');
}

// Expected text: Gitaly 19.0.
test('CreateObjectPool on an unknown storage names the step', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, repository.relativePath);
  const hash = '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b';
  const pool = { storageName: 'missing', relativePath: `@pools/6b/86/${hash}.git` };

  const call = gitaly.connection.objectPool.createObjectPool({
    origin: repository,
    objectPool: { repository: pool },
  });

  await assert.rejects(call, {
    code: 'INVALID_ARGUMENT',
    message: 'creating object pool: locate repository: storage name not found',
  });
});
