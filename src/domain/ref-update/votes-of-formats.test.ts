import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#client/index';
import { gitOutput, initServed, referenceBackends } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';
import { type CastVote, startVotingServer } from '#testkit/voting-server';

const REPOSITORY = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };
const timestamp = { seconds: 1_700_000_000n };

/** Calls that change references, each in its own way. */
const CHANGES: readonly ((
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
    for (const [index, change] of CHANGES.entries()) {
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
