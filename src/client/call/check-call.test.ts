import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type Connection, dial } from '#client/index';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';
import { RepositorySchema } from '#wire/gen/shared_pb';

/** Passes an object as a JavaScript program does: TypeScript would refuse it. */
const js = (value: object): never => value as never;

/** Iterates responses as a caller does. Returns their number. */
async function all(responses: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of responses) count++;
  return count;
}

suite('misspelt names in calls', () => {
  let gitaly: Awaited<ReturnType<typeof startGitaly>>;
  let connection: Connection;
  let repository: { storageName: string; relativePath: string };
  before(async () => {
    gitaly = await startGitaly();
    connection = await dial(gitaly.address);
    const { storageName, relativePath } = await gitaly.createRepository({ commits: 2 });
    repository = { storageName, relativePath };
  });
  after(async () => {
    await connection.close();
    await gitaly[Symbol.asyncDispose]();
  });
  const main = Buffer.from('refs/heads/main');

  const refused: readonly (readonly [message: RegExp, call: () => unknown])[] = [
    [
      /^FindCommit has no option "timeoutMS2"; did you mean "timeoutMs"\?$/,
      () => connection.commit.findCommit({ repository, revision: main }, js({ timeoutMS2: 1 })),
    ],
    [
      /^FindCommit has no option "timeout"; did you mean "timeoutMs"\?$/,
      () => connection.commit.findCommit({ repository, revision: main }, js({ timeout: 1 })),
    ],
    [
      /^ListCommits has no option "correlation_id"; did you mean "correlationId"\?$/,
      () => connection.commit.listCommits({ repository, revisions: ['main'] }, js({ correlation_id: 'x' })),
    ],
    [
      /^FindCommit has no field "revison"; did you mean "revision"\?$/,
      () => connection.commit.findCommit(js({ repository, revison: main })),
    ],
    [
      /^FindCommit has no field "repository\.relative_path"; did you mean "repository\.relativePath"\?$/,
      () =>
        connection.commit.findCommit(
          js({ repository: { storageName: 'default', relative_path: 'x.git' }, revision: main }),
        ),
    ],
    [
      /^ListCommits has no field "revisons"; did you mean "revisions"\?$/,
      () => connection.commit.listCommits(js({ repository, revisons: ['main'] })),
    ],
    [
      /^GetBlobs has no field "revisionPaths\.pth"; did you mean "revisionPaths\.path"\?$/,
      () =>
        all(connection.blob.getBlobs(js({ repository, revisionPaths: [{ revision: 'main', pth: main }] }))),
    ],
    [
      /^UserCommitFiles has "header" only as "userCommitFilesRequestPayload": \{ case: "header", value: … \}$/,
      () => connection.operation.userCommitFiles([js({ header: { repository, user: USER } })]),
    ],
    [
      /^UserCommitFiles has no case "haeder" in "userCommitFilesRequestPayload"; did you mean "header"\?$/,
      () =>
        connection.operation.userCommitFiles([
          js({ userCommitFilesRequestPayload: { case: 'haeder', value: { repository, user: USER } } }),
        ]),
    ],
    [
      /^UserCommitFiles has no field "userCommitFilesRequestPayload\.header\.branchname2"; did you mean /,
      () =>
        connection.operation.userCommitFiles([
          js({ userCommitFilesRequestPayload: { case: 'header', value: { repository, branchname2: main } } }),
        ]),
    ],
  ];
  for (const [message, call] of refused) {
    test(`the mistake is named: ${message.source}`, async () => {
      await assert.rejects(async () => await call(), { name: 'TypeError', message });
    });
  }

  test('a misspelt field in a stream of requests ends the call, and closes the stream', async () => {
    let isClosed = false;
    async function* requests(): AsyncGenerator<never> {
      try {
        yield js({ repository, revisons: [main] });
        yield js({ repository });
      } finally {
        isClosed = true;
      }
    }

    await assert.rejects(
      async () => await all(connection.commit.checkObjectsExist(requests())),
      (error: Error) => {
        const text = `${error.message} ${error.cause instanceof Error ? error.cause.message : ''}`;
        return /CheckObjectsExist has no field "revisons"; did you mean "revisions"/.test(text);
      },
    );
    assert.ok(isClosed);
  });

  test('an empty choice is accepted: the server reports what is missing', async () => {
    for (const choice of [{ case: undefined }, {}])
      await assert.rejects(
        async () =>
          await connection.operation.userCommitFiles([js({ userCommitFilesRequestPayload: choice })]),
        { code: 'INVALID_ARGUMENT' },
      );
  });

  test('messages, objects of classes and properties that are similar to no field are accepted', async () => {
    class Project {
      readonly storageName = repository.storageName;
      readonly relativePath = repository.relativePath;
      readonly relativePaths = ['x'];
    }
    const given = [
      { ...repository, description: 'a project' },
      new Project(),
      create(RepositorySchema, repository),
      // The field `relativePath` is there, so this name is not a misspelling of it.
      { ...repository, relativePath2: 'x' },
    ];

    for (const each of given) {
      const options = { timeoutMs: 60_000, branch: 'main', timeouts: 1 };
      const { commit } = await connection.commit.findCommit({ repository: each, revision: main }, options);
      assert.ok(commit);
    }
  });
});
