import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CallOptions, Connection } from '#client/index';
import { gitOutput, initServed, referenceBackends } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { type CastVote, startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const REPOSITORY = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };

const CHANGES: readonly {
  readonly name: string;
  readonly lock: string;
  readonly run: (connection: Connection, oid: string, options: CallOptions) => Promise<unknown>;
}[] = [
  {
    name: 'UserCreateBranch',
    lock: 'refs/heads/new.lock',
    run: ({ operation }, oid, options) =>
      operation.userCreateBranch(
        {
          repository: REPOSITORY,
          user: USER,
          branchName: Buffer.from('new'),
          startPoint: Buffer.from(oid),
        },
        options,
      ),
  },
  {
    name: 'UserDeleteBranch',
    lock: 'refs/heads/old.lock',
    run: ({ operation }, _, options) =>
      operation.userDeleteBranch(
        { repository: REPOSITORY, user: USER, branchName: Buffer.from('old') },
        options,
      ),
  },
  {
    name: 'DeleteRefs',
    lock: 'refs/heads/old.lock',
    run: ({ ref }, _, options) =>
      ref.deleteRefs({ repository: REPOSITORY, refs: [Buffer.from('refs/heads/old')] }, options),
  },
  {
    name: 'WriteRef',
    lock: 'refs/heads/new.lock',
    run: ({ repository }, oid, options) =>
      repository.writeRef(
        { repository: REPOSITORY, ref: Buffer.from('refs/heads/new'), revision: Buffer.from(oid) },
        options,
      ),
  },
];

const timestamp = { seconds: 1_700_000_000n };

/** Calls that change references, each in its own way. */
const FORMAT_CHANGES: readonly ((
  connection: Connection,
  options: { readonly metadata: Record<string, string>; readonly tip: string },
) => Promise<unknown>)[] = [
  ({ repository }, { tip, metadata }) =>
    repository.writeRef(
      { repository: REPOSITORY, ref: Buffer.from('refs/heads/new'), revision: Buffer.from(tip) },
      { metadata },
    ),
  ({ repository }, { metadata }) =>
    repository.writeRef(
      { repository: REPOSITORY, ref: Buffer.from('HEAD'), revision: Buffer.from('refs/heads/new') },
      { metadata },
    ),
  ({ ref }, { metadata }) =>
    ref.deleteRefs(
      {
        repository: REPOSITORY,
        refs: ['refs/heads/packed', 'refs/heads/loose'].map((each) => Buffer.from(each)),
      },
      { metadata },
    ),
  ({ operation }, { metadata }) =>
    operation.userCreateTag(
      {
        repository: REPOSITORY,
        user: USER,
        tagName: Buffer.from('v1'),
        targetRevision: Buffer.from('main'),
        message: Buffer.from('one'),
        timestamp,
      },
      { metadata },
    ),
  ({ operation }, { metadata }) =>
    operation.userCommitFiles(
      [
        {
          userCommitFilesRequestPayload: {
            case: 'header',
            value: {
              repository: REPOSITORY,
              user: USER,
              branchName: Buffer.from('main'),
              commitMessage: Buffer.from('change'),
              timestamp,
            },
          },
        },
      ],
      { metadata },
    ),
  async ({ smartHttp }, { tip, metadata }) => {
    const body = pushBody([`${ZERO_OID} ${tip} refs/heads/pushed`, `${tip} ${ZERO_OID} refs/heads/new`]);
    const first = { repository: REPOSITORY, glId: 'user-1', glRepository: 'project-1' };
    const answer: Uint8Array[] = [];
    for await (const { data } of smartHttp.postReceivePack([first, { data: body }], { metadata }))
      answer.push(data);
    assert.deepEqual(readReport(Buffer.concat(answer)).report.slice(0, 2), [
      'unpack ok',
      'ok refs/heads/pushed',
    ]);
  },
];

for (const { name, lock, run } of CHANGES) {
  test(`${name}: git holds its locks while the nodes vote on the change, and only then`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, REPOSITORY.relativePath, { commits: 1 });
    const oid = gitOutput(path, ['rev-parse', 'main']);
    gitOutput(path, ['branch', 'old']);
    await using cluster = await startVotingServer(gitaly.address);
    const locked: [phase: string, isLocked: boolean][] = [];
    cluster.decide = ({ phase }) => {
      locked.push([phase, existsSync(join(path, lock))]);
      return 'COMMIT';
    };

    await run(cluster.connection, oid, { metadata: cluster.metadata() });

    // The votes around those on the references let the nodes wait for each other. Gitaly's hook
    // does not vote on what newer versions of git announce before they take locks.
    const onReferences = locked.filter(([phase]) => phase !== 'SYNCHRONIZED_PHASE');
    assert.deepEqual(onReferences, [
      ...(name === 'WriteRef' ? [] : [['PREPARING_PHASE', false]]),
      ['PREPARED_PHASE', true],
      ['COMMITTED_PHASE', false],
    ]);
  });
}

test('UpdateReferences waits for its order before git locks, if the cluster orders its writes', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, REPOSITORY.relativePath, { commits: 1 });
  const oid = gitOutput(path, ['rev-parse', 'main']);
  await using cluster = await startVotingServer(gitaly.address);
  const seen: [phase: string, bytes: number, isLocked: boolean][] = [];
  cluster.decide = ({ hash, phase }) => {
    seen.push([phase, hash.length / 2, existsSync(join(path, 'refs/heads/new.lock'))]);
    return 'COMMIT';
  };
  const transaction = { id: 1, node: 'gitaly-1', primary: true, ordered: true };
  const header = Buffer.from(JSON.stringify(transaction)).toString('base64');

  await cluster.connection.ref.updateReferences(
    [
      {
        repository: REPOSITORY,
        updates: [{ reference: Buffer.from('refs/heads/new'), newObjectId: Buffer.from(oid) }],
      },
    ],
    { metadata: { 'gitaly-reference-transaction': header } },
  );

  assert.deepEqual(seen, [
    ['PREPARING_PHASE', 0, false],
    ['PREPARED_PHASE', 20, true],
    ['COMMITTED_PHASE', 20, false],
  ]);
});

test('votes on references depend on the change, not on the storage format', async () => {
  const votes: { phase: string; hash: string }[][] = [];
  for (const referenceBackend of referenceBackends()) {
    await using gitaly = await startGitaly();
    await using voting = await startVotingServer(gitaly.address);
    const path = initServed(gitaly, 'x.git', { commits: 2, referenceBackend });
    gitOutput(path, ['update-ref', 'refs/heads/packed', 'main']);
    gitOutput(path, ['pack-refs', '--all']);
    gitOutput(path, ['update-ref', 'refs/heads/loose', 'main']);
    const tip = gitOutput(path, ['rev-parse', 'main']);

    const cast: CastVote[][] = [];
    for (const [index, change] of FORMAT_CHANGES.entries()) {
      await change(voting.connection, { tip, metadata: voting.metadata({ id: index + 1 }) });
      cast.push(voting.votes.filter(({ transactionId }) => transactionId === BigInt(index + 1)));
    }

    assert.ok(
      cast.every((each) => each.length >= 2),
      'each change is voted on',
    );
    votes.push(cast.flat().map(({ phase, hash }) => ({ phase, hash })));
  }

  for (const others of votes.slice(1)) assert.deepEqual(others, votes[0]);
});
