import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError } from '#client/call/call-error';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { idsOf, withHistory } from '#testkit/values/commit-histories';
import type { CommitAuthor } from '#wire/gen/shared_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };

const bytes = (text: string): Buffer => Buffer.from(text);
const lines = (text: string): string[] => text.split('\n').filter(Boolean);

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(messages);
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const person = (who: CommitAuthor | undefined): string =>
  `${text(who?.name)} <${text(who?.email)}> ${who?.date?.seconds}`;

test('ListCommitsByOid and ListCommitsByRefName find commits in the order asked for', async () => {
  await using gitaly = await startGitaly();
  const ask = withHistory(gitaly, { count: 100 });
  const { commit } = gitaly.connection;
  const oids = lines(ask('rev-list', '--all'));
  const asked = [...oids, '1'.repeat(40), ...oids.toReversed()];

  assert.deepEqual(await idsOf(commit.listCommitsByOid({ repository, oid: asked })), [
    ...oids,
    ...oids.toReversed(),
  ]);
  const refNames = ['refs/heads/c9', 'no-such', 'main', 'c9'].map(bytes);
  const found = (await collect(commit.listCommitsByRefName({ repository, refNames }))).flatMap(
    ({ commitRefs }) => commitRefs,
  );
  assert.deepEqual(
    found.map((each) => `${Buffer.from(each.refName)} ${each.commit?.id}`),
    ['refs/heads/c9', 'main', 'c9'].map((name) => `${name} ${ask('rev-parse', name)}`),
  );
});

test('signatures and messages of commits come whole, in pieces that fit', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'x.git', { commits: 1 });
  const tree = gitOutput(path, ['rev-parse', 'main^{tree}']);
  const text = `long\n\n${'0123456789abcde\n'.repeat(20_000)}`;
  const people = 'author A <a@x> 1600000000 +0000\ncommitter C <c@x> 1600000001 +0000\n';
  const signature = '-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----';
  const object = `tree ${tree}\n${people}gpgsig ${signature.replaceAll('\n', '\n ')}\n\n${text}`;
  const signed = gitOutput(path, ['hash-object', '-w', '-t', 'commit', '--stdin'], object);
  const unsigned = gitOutput(path, ['rev-parse', 'main']);
  const { commit } = gitaly.connection;

  const messages = await collect(commit.getCommitSignatures({ repository, commitIds: [unsigned, signed] }));
  assert.equal(messages[0]?.commitId, signed);
  assert.equal(`${Buffer.from(messages[0].signature)}`, signature);
  assert.equal(
    `${Buffer.concat(messages.map(({ signedText }) => signedText))}`,
    `tree ${tree}\n${people}\n${text}`,
  );
  assert.ok(messages.every(({ signedText }) => signedText.length <= 128 * 1024));

  const texts = await collect(commit.getCommitMessages({ repository, commitIds: [signed, unsigned] }));
  const starts = texts.flatMap(({ commitId }, index) => (commitId === '' ? [] : [index]));
  assert.deepEqual([starts[0], texts[0]?.commitId, texts[starts[1] ?? 0]?.commitId], [0, signed, unsigned]);
  assert.equal(`${Buffer.concat(texts.slice(0, starts[1]).map(({ message }) => message))}`, text);
  assert.ok(texts.every(({ message }) => message.length <= 128 * 1024));

  const shas = [unsigned, signed, 'no-such'].map(bytes);
  const answers = await collect(
    commit.filterShasWithSignatures([{ repository, shas }, { shas: [] }, { shas }]),
  );
  assert.deepEqual(
    answers.map((answer) => answer.shas.map((sha) => `${Buffer.from(sha)}`)),
    [[signed], [], [signed]],
  );
});

test('CheckObjectsExist answers all requests in one message', async () => {
  await using gitaly = await startGitaly();
  withHistory(gitaly, { count: 5 });
  const names = ['main', 'no-such', 'main:d', 'HEAD^{tree}', '1'.repeat(40)];
  const requests = [{ repository, revisions: names.map(bytes) }, { revisions: [bytes('main:')] }];

  const messages = await collect(gitaly.connection.commit.checkObjectsExist(requests));

  const [first, ...others] = messages;
  assert.deepEqual(others, []);
  assert.deepEqual(
    first?.revisions.map(({ name, exists }) => [`${Buffer.from(name)}`, exists]),
    [
      ['main', true],
      ['no-such', false],
      ['main:d', true],
      ['HEAD^{tree}', true],
      ['1'.repeat(40), false],
      ['main:', true],
    ],
  );
});

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
