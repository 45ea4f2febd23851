import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError } from '#client/call/call-error';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import type { CommitAuthor } from '#wire/gen/shared_pb';

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const person = (who: CommitAuthor | undefined): string =>
  `${text(who?.name)} <${text(who?.email)}> ${who?.date?.seconds}`;

const repository = { storageName: 'default', relativePath: 'x.git' };

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`FindCommit agrees with git about a commit of a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { commits: 2, objectFormat });

    const { commit } = await gitaly.connection.commit.findCommit({
      repository,
      revision: Buffer.from('main'),
    });

    const format = '%H %T %P|%an <%ae> %at|%cn <%ce> %ct|%s';
    assert.equal(
      `${commit?.id} ${commit?.treeId} ` +
        `${commit?.parentIds.join(' ')}|${person(commit?.author)}|` +
        `${person(commit?.committer)}|${text(commit?.subject)}`,
      gitOutput(directory, ['log', '-1', `--format=${format}`, 'main']),
    );
  });
}

test('FindCommit answers without a commit when the revision does not exist', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git');

  const { commit } = await gitaly.connection.commit.findCommit({ repository, revision: Buffer.from('main') });

  assert.equal(commit, undefined);
});

test('FindCommit sees a commit that was made since the last call', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const find = async () =>
    (await gitaly.connection.commit.findCommit({ repository, revision: Buffer.from('main') })).commit?.id;
  await find();

  const oid = addCommit(directory, 2);

  assert.equal(await find(), oid);
});

test('FindCommit answers many at once, good and bad mixed', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 3 });
  const oids = gitOutput(directory, ['rev-list', 'main']).split('\n');
  const revisions = ['main', 'main~1', 'main~2', 'main~3', 'none', 'main@{upstream}', 'main^{tree}'];

  const answers = await Promise.allSettled(
    Array.from({ length: 20 }, () => revisions)
      .flat()
      .map((revision) =>
        gitaly.connection.commit.findCommit({ repository, revision: Buffer.from(revision) }),
      ),
  );

  for (const [index, answer] of answers.entries()) {
    const revision = revisions[index % revisions.length] ?? '';
    if (revision === 'main@{upstream}') assert.equal(answer.status, 'rejected');
    else if (answer.status === 'rejected') assert.fail(`${revision}: ${answer.reason}`);
    else assert.equal(answer.value.commit?.id, oids[revisions.indexOf(revision)]);
  }
});

test('FindCommit gives the trailers that git gives', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const message = 'subject\n\nbody: text\n\nSigned-off-by: Ann <ann@example.com>\nFolded: one\n two\n';
  const oid = gitOutput(directory, ['commit-tree', '-m', message, gitOutput(directory, ['mktree'], '')]);

  const { commit } = await gitaly.connection.commit.findCommit({
    repository,
    revision: Buffer.from(oid),
    trailers: true,
  });

  const trailers = commit?.trailers.map(({ key, value }) => `${Buffer.from(key)}: ${Buffer.from(value)}`);
  assert.deepEqual(
    trailers,
    gitOutput(directory, ['log', '-1', '--format=%(trailers:unfold)', oid]).split('\n'),
  );
});

test('FindCommit shows people as the mailmap of HEAD says, unless the feature is off', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const mailmap = 'New Name <new@example.com> <old@example.com>\n';
  const history = `commit refs/heads/main
author Old <old@example.com> 1600000000 +0000
committer Old <old@example.com> 1600000000 +0000
data 0
M 100644 inline .mailmap
data ${mailmap.length}
${mailmap}
`;
  gitOutput(directory, ['fast-import', '--quiet', '--date-format=raw'], history);
  const find = async (flag: string): Promise<string> => {
    const metadata = { 'gitaly-feature-mailmap-options': flag };
    const { commit } = await gitaly.connection.commit.findCommit(
      { repository, revision: Buffer.from('main') },
      { metadata },
    );
    return `${person(commit?.author)} ${person(commit?.committer)}`;
  };

  assert.equal(await find('true'), gitOutput(directory, ['log', '--format=%aN <%aE> %at %cN <%cE> %ct']));
  assert.equal(await find('false'), gitOutput(directory, ['log', '--format=%an <%ae> %at %cn <%ce> %ct']));
});

// Rails adds these costs up to limit a user's calls.
test('the server says with each answer what the call cost', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git', { commits: 1 });
  const costs: (string | undefined)[] = [];
  const onTrailers = (trailers: { get(key: string): string | undefined }): void => {
    costs.push(trailers.get('x-gitaly-cost'));
  };
  const { commit, server } = gitaly.connection;

  await commit.findCommit({ repository, revision: Buffer.from('main') }, { onTrailers });
  await server.serverInfo({}, { onTrailers });
  await assert.rejects(commit.findCommit({ repository }), (error) => {
    assert.ok(error instanceof CallError);
    onTrailers(error.trailers);
    return true;
  });

  assert.deepEqual(costs, ['2', '0', '2']);
});
