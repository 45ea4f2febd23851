import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import type { GetBlobsResponse } from '#wire/gen/blob_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const MAX_PIECE_BYTES = 128 * 1024;

/** Creates a repository whose branch `main` has these files, named by latin1 text. */
function withFiles(
  gitaly: TestGitaly,
  files: Readonly<Record<string, Uint8Array>>,
  objectFormat: 'sha1' | 'sha256' = 'sha1',
): string {
  const directory = initServed(gitaly, 'x.git', { objectFormat });
  const entries = Object.entries(files).flatMap(([name, content]) => {
    const oid = gitOutput(directory, ['hash-object', '-w', '--stdin'], content);
    return [Buffer.from(`100644 blob ${oid}\t`), Buffer.from(name, 'latin1'), Buffer.of(0)];
  });
  const tree = gitOutput(directory, ['mktree', '-z'], Buffer.concat(entries));
  gitOutput(directory, [
    'update-ref',
    'refs/heads/main',
    gitOutput(directory, ['commit-tree', '-m', 'x', tree]),
  ]);
  return directory;
}

/** Joins messages: a message with a revision begins an answer. */
function answersOf(messages: readonly GetBlobsResponse[]): { first: GetBlobsResponse; data: Buffer }[] {
  const answers: { first: GetBlobsResponse; pieces: Uint8Array[] }[] = [];
  for (const message of messages) {
    if (message.revision !== '') answers.push({ first: message, pieces: [message.data] });
    else {
      answers.at(-1)?.pieces.push(message.data);
      assert.deepEqual(
        [message.oid, message.size, message.mode, message.path.length, message.type],
        ['', 0n, 0, 0, 0],
      );
    }
    assert.ok(message.data.length <= MAX_PIECE_BYTES);
  }
  return answers.map(({ first, pieces }) => ({ first, data: Buffer.concat(pieces) }));
}

const at = (path: string | Uint8Array, revision = 'main') => ({ revision, path: Buffer.from(path) });

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`GetBlobs sends whole ${objectFormat} files in the order of the request`, async () => {
    await using gitaly = await startGitaly();
    const files: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      big: randomBytes(700_000),
      '\xe9': Buffer.from('latin'),
    };
    for (let index = 0; index < 150; index++) files[`file ${index}`] = Buffer.from(`content ${index}`);
    const directory = withFiles(gitaly, files, objectFormat);
    const names = ['big', ...Object.keys(files), 'none', 'big', 'empty'];
    const revisionPaths = names.map((name) => at(Buffer.from(name, 'latin1')));

    const messages = await Array.fromAsync(
      gitaly.connection.blob.getBlobs({ repository, revisionPaths, limit: -1n }),
    );

    const answers = answersOf(messages);
    const expected = names.map((name) => ({ name, data: files[name] ?? Buffer.alloc(0) }));
    assert.deepEqual(
      answers.map(({ first, data }) => ({ name: Buffer.from(first.path).toString('latin1'), data })),
      expected,
    );
    for (const { first, data } of answers) {
      const name = Buffer.from(first.path).toString('latin1');
      if (name === 'none') assert.deepEqual([first.oid, first.mode, first.type, first.size], ['', 0, 0, 0n]);
      else if (name !== '\xe9') {
        assert.equal(first.oid, gitOutput(directory, ['rev-parse', `main:${name}`]));
        assert.equal(first.size, BigInt(data.length));
      }
    }
  });
}

test('GetBlobs cuts data at the limit and tells the full size', async () => {
  await using gitaly = await startGitaly();
  const big = randomBytes(500_000);
  withFiles(gitaly, { big, small: Buffer.from('small') });
  const revisionPaths = [at('big'), at('small'), at('big')];

  for (const limit of [0n, 3n, 200_000n]) {
    const messages = await Array.fromAsync(
      gitaly.connection.blob.getBlobs({ repository, revisionPaths, limit }),
    );
    const answers = answersOf(messages);

    assert.deepEqual(
      answers.map(({ first, data }) => [
        first.size,
        data.equals((first.size === 5n ? Buffer.from('small') : big).subarray(0, Number(limit))),
      ]),
      [
        [500_000n, true],
        [5n, true],
        [500_000n, true],
      ],
    );
  }
});

test('GetBlobs survives readers that leave, and slow ones', async () => {
  await using gitaly = await startGitaly();
  const contents = Array.from({ length: 8 }, () => randomBytes(3_000_000));
  withFiles(gitaly, Object.fromEntries(contents.map((content, index) => [`f${index}`, content])));
  const request = { repository, revisionPaths: contents.map((_, index) => at(`f${index}`)), limit: -1n };

  for (let leaving = 0; leaving < 5; leaving++) {
    for await (const _ of gitaly.connection.blob.getBlobs(request)) break;
  }
  const messages: GetBlobsResponse[] = [];
  for await (const message of gitaly.connection.blob.getBlobs(request)) {
    messages.push(message);
    if (messages.length % 20 === 0) await sleep(2); // a slow reader
  }

  assert.deepEqual(
    answersOf(messages).map(({ data }, index) => data.equals(contents[index] ?? Buffer.alloc(0))),
    contents.map(() => true),
  );
});

test('a revision that kills git fails its own call alone', async () => {
  await using gitaly = await startGitaly();
  withFiles(gitaly, { a: Buffer.from('a') });
  const good = { repository, revisionPaths: [at('a')], limit: -1n };
  const bad = { repository, revisionPaths: [at('a'), at('a', 'main@{u}')], limit: -1n };

  const calls = Array.from({ length: 10 }, (_, index) =>
    Array.fromAsync(gitaly.connection.blob.getBlobs(index % 2 === 0 ? good : bad)),
  );
  const outcomes = await Promise.allSettled(calls);

  for (const [index, outcome] of outcomes.entries()) {
    if (index % 2 === 0) assert.equal(outcome.status === 'fulfilled' && outcome.value.length, 1);
    else
      assert.match(
        String(outcome.status === 'rejected' && outcome.reason),
        /find by revision and path: read info line: EOF/,
      );
  }
});
