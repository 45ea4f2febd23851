import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { type RecordedConnection, recordedConnection } from '#testkit/clients/recording-caller';
import { BlobService } from '#wire/gen/blob_pb';
import {
  CommitService,
  FindCommitResponseSchema,
  ListCommitsRequest_Order as Order,
} from '#wire/gen/commit_pb';
import { CommitDiffResponseSchema, DiffService } from '#wire/gen/diff_pb';
import {
  OperationService,
  UserCherryPickResponseSchema,
  UserCommitFilesResponseSchema,
  UserRevertResponseSchema,
} from '#wire/gen/operations_pb';
import { FindLocalBranchesResponseSchema, RefService } from '#wire/gen/ref_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { Repository } from './index.ts';

const OID = '1'.repeat(40);
const NONE = Buffer.alloc(0);
const bytes = (text: string) => Buffer.from(text);
const USER = { id: 'user-1', username: 'jane', name: 'Jane', email: 'jane@x' };
const COMMIT = { id: OID };
const services = {
  ...{ blob: BlobService, commit: CommitService, diff: DiffService, operation: OperationService },
  ...{ ref: RefService, repository: RepositoryService },
};

/** A repository whose server has these answers, by method. */
function arrange(answers: Readonly<Record<string, readonly Message[]>>): RecordedConnection & {
  readonly repository: Repository;
} {
  const known = { FindCommit: [create(FindCommitResponseSchema, { commit: COMMIT })], ...answers };
  const recorded = recordedConnection(services, ({ name }) => known[name as keyof typeof known] ?? []);
  return { ...recorded, repository: new Repository(recorded.connection, { path: 'a.git', user: USER }) };
}

const committed = [create(UserCommitFilesResponseSchema, { branchUpdate: { commitId: OID } })];

/** The header of a commit, as it is sent first. */
const headerOf = ({ calls }: RecordedConnection, at: number) => {
  const {
    user: _,
    timestamp: __,
    repository: ___,
    ...header
  } = Object(Object(calls[at]?.requests[0]).userCommitFilesRequestPayload).value;
  return header;
};

test('a commit is of the user, on top of its branch, unless options say otherwise', async () => {
  const arranged = arrange({ UserCommitFiles: committed });
  const { calls, repository } = arranged;

  await repository.commit({ branch: 'main', message: 'm' });
  await repository.commit({
    ...{ branch: 'new', message: 'm', force: true, expectedOid: OID, start: { oid: '2' } },
    author: { name: 'Ann', email: 'ann@x' },
  });
  await repository.commit({ branch: 'new', message: 'm', start: { branch: 'old' } });

  assert.deepEqual(
    calls.map(({ rpc }) => rpc),
    ['UserCommitFiles', 'UserCommitFiles', 'UserCommitFiles'],
    'without files nothing is looked up',
  );
  const plain = {
    ...{ branchName: bytes('main'), commitMessage: bytes('m'), commitAuthorName: NONE },
    ...{ commitAuthorEmail: NONE, force: false, expectedOldOid: '', startBranchName: NONE, startSha: '' },
  };
  assert.deepEqual(headerOf(arranged, 0), plain);
  assert.deepEqual(headerOf(arranged, 1), {
    ...{ ...plain, branchName: bytes('new'), force: true, expectedOldOid: OID, startSha: '2' },
    ...{ commitAuthorName: bytes('Ann'), commitAuthorEmail: bytes('ann@x') },
  });
  assert.deepEqual(headerOf(arranged, 2), {
    ...{ ...plain, branchName: bytes('new'), startBranchName: bytes('old') },
  });
});

test('files are looked up where the commit begins', async () => {
  const arranged = arrange({ UserCommitFiles: committed });
  const { calls, repository } = arranged;
  const files = { a: 'x' };

  await repository.commit({ branch: 'main', message: 'm', files });
  await repository.commit({ branch: 'main', message: 'm', files, start: { oid: OID } });
  await repository.commit({ branch: 'main', message: 'm', files, start: { branch: 'old' } });

  const lookups = calls.filter(({ rpc }) => rpc === 'GetBlobs').map(({ requests }) => requests[0]);
  assert.deepEqual(
    lookups,
    ['refs/heads/main', OID, 'refs/heads/old'].map((revision) => ({
      ...{ limit: 0n, revisionPaths: [{ revision, path: bytes('a') }] },
    })),
  );
});

test('answers of Gitaly 15 that report a failure are errors', async () => {
  const pick = { commit: 'topic', onto: 'main', message: 'm' };
  for (const [fields, error] of [
    [{ preReceiveError: 'no' }, { code: 'PERMISSION_DENIED', message: 'no' }],
    [{ createTreeError: 'conflict' }, { code: 'FAILED_PRECONDITION', message: 'conflict' }],
    [{}, { code: 'INTERNAL', message: 'the server named no new commit' }],
  ] as const) {
    const { repository } = arrange({
      UserCherryPick: [create(UserCherryPickResponseSchema, fields)],
      UserRevert: [create(UserRevertResponseSchema, fields)],
    });
    await assert.rejects(repository.cherryPick(pick), error);
    await assert.rejects(repository.revert(pick), error);
  }
  const { repository } = arrange({ UserCommitFiles: [create(UserCommitFilesResponseSchema)] });
  await assert.rejects(repository.commit({ branch: 'main', message: 'm' }), { code: 'INTERNAL' });
});

test('a commit that is not there cannot be merged, picked or undone', async () => {
  const { calls, repository } = arrange({ FindCommit: [create(FindCommitResponseSchema)] });
  const missing = { code: 'NOT_FOUND', message: 'no commit at topic' };

  await assert.rejects(repository.cherryPick({ commit: 'topic', onto: 'main', message: 'm' }), missing);
  await assert.rejects(repository.revert({ commit: 'topic', onto: 'main', message: 'm' }), missing);
  await assert.rejects(repository.merge({ source: 'topic', into: 'main', message: 'm' }), missing);

  assert.deepEqual(new Set(calls.map(({ rpc }) => rpc)), new Set(['FindCommit']));
});

test('a history has no limits unless options set them', async () => {
  const { calls, repository } = arrange({});

  await Array.fromAsync(repository.log('main'));
  const [after, before] = [new Date(1_000_500), new Date(2_000_000)];
  const limits = { limit: 5, skip: 2, firstParent: true, noMerges: true, order: 'topology' } as const;
  const matches = { author: 'ann', paths: ['a'], messages: ['fix'], after, before };
  await Array.fromAsync(repository.log(['v1', '^v0'], { ...limits, ...matches }));

  assert.deepEqual(calls[0]?.requests[0], {
    ...{ revisions: ['main'], paths: [], commitMessagePatterns: [], author: NONE, firstParent: false },
    ...{ skip: 0, maxParents: 0, order: Order.NONE },
  });
  assert.partialDeepStrictEqual(calls[1]?.requests[0], {
    ...{ revisions: ['v1', '^v0'], paths: [bytes('a')], commitMessagePatterns: [bytes('fix')] },
    ...{ author: bytes('ann'), firstParent: true, skip: 2, maxParents: 1, order: Order.TOPO },
    ...{ paginationParams: { limit: 5 }, after: { seconds: 1000n, nanos: 500_000_000 } },
    before: { seconds: 2000n },
  });
});

test('a commit without people and dates has empty ones, and one that was cut says so', async () => {
  const author = { name: bytes('Ann'), email: bytes('ann@x'), timezone: bytes('+0200') };
  const full = { ...COMMIT, body: bytes('m'), bodySize: 2n, author: { ...author, date: { seconds: 60n } } };
  const answers = [COMMIT, full].map((commit) => [create(FindCommitResponseSchema, { commit })]);
  const [plain, whole] = await Promise.all(
    answers.map((FindCommit) => arrange({ FindCommit }).repository.findCommit('main')),
  );

  const nobody = { name: '', email: '', date: new Date(0), timezone: '' };
  assert.deepEqual([plain?.author, plain?.committer, plain?.isMessageCut], [nobody, nobody, false]);
  const ann = { name: 'Ann', email: 'ann@x', date: new Date(60_000), timezone: '+0200' };
  assert.deepEqual([whole?.author, whole?.committer, whole?.isMessageCut], [ann, nobody, true]);
});

test('branches have short names; one without a commit is an error', async () => {
  const branches = (...localBranches: { name: Buffer; targetCommit?: { id: string } }[]) =>
    arrange({ FindLocalBranches: [create(FindLocalBranchesResponseSchema, { localBranches })] }).repository;
  const named = (name: string) => ({ name: bytes(name), targetCommit: COMMIT });

  const listed = await Array.fromAsync(branches(named('refs/heads/a'), named('refs/x')).branches());

  assert.deepEqual(
    listed.map(({ name, nameBytes }) => [name, nameBytes]),
    [
      ['a', bytes('a')],
      ['refs/x', bytes('refs/x')],
    ],
  );
  await assert.rejects(Array.fromAsync(branches({ name: bytes('refs/heads/b') }).branches()), {
    name: 'TypeError',
    message: 'branch b without a commit',
  });
});

test('the status of a changed file follows from its modes, ids and paths', async () => {
  const zeros = '0'.repeat(40);
  const file = (fromId: string, toId: string, oldMode: number, newMode: number, fromPath = 'a') =>
    create(CommitDiffResponseSchema, {
      ...{ fromPath: bytes(fromPath), toPath: bytes('a'), fromId, toId, oldMode, newMode },
      endOfPatch: true,
    });
  const { repository } = arrange({
    CommitDiff: [
      file(zeros, OID, 0, 0o100644),
      file(zeros, OID, 0o100644, 0o100644),
      file(OID, zeros, 0o100644, 0),
      file(OID, zeros, 0o100644, 0o100644),
      file(OID, OID, 0o100644, 0o100755),
      file(OID, OID, 0o100644, 0o100644, 'b'),
    ],
  });

  assert.deepEqual(
    (await Array.fromAsync(repository.diff('1', '2'))).map(({ status }) => status),
    ['added', 'added', 'deleted', 'deleted', 'modified', 'renamed'],
  );
});

test('a change without a user is refused before the call', async () => {
  const { connection, calls } = arrange({});
  const repository = new Repository(connection, { path: 'a.git' });

  await assert.rejects(repository.createBranch('topic', 'main'), { name: 'TypeError', message: /`user`/ });
  await assert.rejects(repository.commit({ branch: 'main', message: 'm', files: { a: 'a' } }), TypeError);
  assert.deepEqual(calls, []);
});

test('a misspelt option is an error with the nearest name, before any call', async () => {
  const { calls, repository } = arrange({});
  const call = { timeoutMS: 1 };
  const target = { branch: 'main', message: 'm' };
  const tries: Readonly<Record<string, () => unknown>> = {
    'log has no option "limt"; did you mean "limit"?': () => repository.log('main', misspelt({ limt: 1 })),
    'diff has no option "path"; did you mean "paths"?': () =>
      repository.diff('a', 'b', misspelt({ path: [] })),
    'files has no option "recursiv"; did you mean "recursive"?': () =>
      repository.files('main', misspelt({ recursiv: false })),
    'branches has no option "timeoutMS"; did you mean "timeoutMs"?': () =>
      repository.branches(misspelt(call)).next(),
    'readFile has no option "timeoutMS"; did you mean "timeoutMs"?': () =>
      repository.readFile('main', 'a', misspelt(call)),
    'createTag has no option "mesage"; did you mean "message"?': () =>
      repository.createTag('v1', 'main', misspelt({ mesage: 'm' })),
    'commit has no option "start.brnch"; did you mean "start.branch"?': () =>
      repository.commit({ ...target, start: { oid: OID, ...misspelt({ brnch: 'main' }) } }),
  };
  for (const [message, attempt] of Object.entries(tries))
    await assert.rejects(async () => await attempt(), { name: 'TypeError', message });
  assert.deepEqual(calls, []);
});

/** Hides the names from the compiler, which would refuse them. */
function misspelt(options: object): object {
  return options;
}
