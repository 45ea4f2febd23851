import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idsOf, withHistory } from '#testkit/commit-histories';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };

const bytes = (text: string): Buffer => Buffer.from(text);
const lines = (text: string): string[] => text.split('\n').filter(Boolean);

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(messages);
}

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
