// Own process: it measures memory

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { slowly } from '#testkit/faults/slowly';
import { gitOutput, type InitOptions, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const MIB = 1024 * 1024;
const MAX_PIECE_BYTES = 128 * 1024;

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

interface Blob {
  readonly repository: { storageName: string; relativePath: string };
  readonly oid: string;
}

/** Creates a repository with one blob. */
function withBlob(gitaly: TestGitaly, content: Uint8Array, options: InitOptions = {}): Blob {
  const directory = initServed(gitaly, 'x.git', options);
  const oid = gitOutput(directory, ['hash-object', '-w', '--stdin'], content);
  return { repository: { storageName: 'default', relativePath: 'x.git' }, oid };
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const bytes of [0, 1, MAX_PIECE_BYTES, MAX_PIECE_BYTES + 1, 256 * 1024 + 1, 3 * MIB]) {
    test(`a ${objectFormat} blob of ${bytes} bytes arrives whole, its size and id ahead`, async () => {
      await using gitaly = await startGitaly();
      const content = randomBytes(bytes);
      const blob = withBlob(gitaly, content, { objectFormat });

      const messages = await collect(gitaly.connection.blob.getBlob({ ...blob, limit: -1n }));

      const [first, ...rest] = messages;
      assert.deepEqual([first?.oid, first?.size], [blob.oid, BigInt(bytes)]);
      assert.ok(rest.every(({ oid, size, data }) => oid === '' && size === 0n && data.length > 0));
      assert.ok(messages.every(({ data }) => data.length <= MAX_PIECE_BYTES));
      assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(content));
    });
  }
}

test('a limit cuts a blob that is streamed, and the next call is not disturbed', async () => {
  await using gitaly = await startGitaly();
  const content = randomBytes(2 * MIB);
  const blob = withBlob(gitaly, content);

  for (const limit of [300_000n, 1n]) {
    const messages = await collect(gitaly.connection.blob.getBlob({ ...blob, limit }));

    assert.equal(messages[0]?.size, BigInt(content.length));
    assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(content.subarray(0, Number(limit))));
  }
});

test('a reader that leaves does not disturb the next one', async () => {
  await using gitaly = await startGitaly();
  const content = randomBytes(8 * MIB);
  const blob = withBlob(gitaly, content);

  for await (const _ of gitaly.connection.blob.getBlob({ ...blob, limit: -1n })) break;
  const messages = await collect(gitaly.connection.blob.getBlob({ ...blob, limit: -1n }));

  assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(content));
});

test('a reader that is slow makes git wait instead of filling memory', async () => {
  await using gitaly = await startGitaly();
  const blob = withBlob(gitaly, Buffer.alloc(200 * MIB));
  const before = process.memoryUsage().rss;

  let highest = 0;
  let pieces = 0;
  for await (const _ of slowly(gitaly.connection.blob.getBlob({ ...blob, limit: -1n }), 10)) {
    if (++pieces > 20) break;
    highest = Math.max(highest, process.memoryUsage().rss - before);
  }

  assert.ok(highest < 60 * MIB, `${Math.round(highest / MIB)} MiB`);
});

test('many readers of different blobs get what they asked for', async () => {
  await using gitaly = await startGitaly();
  const { repository } = withBlob(gitaly, Buffer.alloc(0));
  const directory = join(gitaly.storagePath(), 'x.git');
  const contents = Array.from({ length: 24 }, (_, index) => randomBytes(index % 2 === 0 ? 100 : 400_000));
  const oids = contents.map((content) => gitOutput(directory, ['hash-object', '-w', '--stdin'], content));

  const answers = await Promise.all(
    oids.map((oid) => collect(gitaly.connection.blob.getBlob({ repository, oid, limit: -1n }))),
  );

  for (const [index, messages] of answers.entries()) {
    assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(contents[index] ?? Buffer.alloc(0)));
  }
});
