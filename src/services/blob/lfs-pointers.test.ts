import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import type { LFSPointer } from '#wire/gen/blob_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };

const pointer = (size: number): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${size.toString(16).padStart(64, '0')}\nsize ${size}\n`;

type Run = (args: string[], input?: string | Uint8Array) => string;

/** Creates a repository with pointers of the sizes 0 to `count` in one commit, and other files. */
function withPointers(gitaly: TestGitaly, count: number): Run {
  const directory = initServed(gitaly, 'x.git');
  const run: Run = (args, input) => gitOutput(directory, args, input);
  const files = Array.from({ length: count }, (_, size) => [
    `M 100644 inline pointers/${size}\ndata ${pointer(size).length}\n${pointer(size)}\n`,
    `M 100644 inline text/${size}\ndata 4\ntext\n`,
  ]);
  run(
    ['fast-import', '--quiet'],
    `commit refs/heads/main\ncommitter A <a@x> 1600000000 +0000\ndata 1\nx\n${files.flat().join('')}`,
  );
  return run;
}

const sizes = (messages: readonly { lfsPointers: LFSPointer[] }[]): number[] =>
  messages.flatMap(({ lfsPointers }) => lfsPointers.map(({ fileSize }) => Number(fileSize)));

test('all pointers are found by revision and by looking everywhere, in messages below 1 MiB', async () => {
  await using gitaly = await startGitaly();
  const run = withPointers(gitaly, 6000);
  const dangling = run(['hash-object', '-w', '--stdin'], pointer(7000));
  const all = Array.from({ length: 6000 }, (_, size) => size);
  const { blob } = gitaly.connection;

  const listed = await Array.fromAsync(blob.listLFSPointers({ repository, revisions: ['main'] }));
  const everywhere = await Array.fromAsync(blob.listAllLFSPointers({ repository }));

  assert.deepEqual(
    sizes(listed).sort((a, b) => a - b),
    all,
  );
  assert.deepEqual(
    sizes(everywhere).sort((a, b) => a - b),
    [...all, 7000],
  );
  assert.equal(
    everywhere.flatMap(({ lfsPointers }) => lfsPointers).find(({ fileSize }) => fileSize === 7000n)?.oid,
    dangling,
  );
  for (const { lfsPointers } of [...listed, ...everywhere]) assert.ok(lfsPointers.length * 240 < 1024 * 1024);
  for (const { oid, data, size, fileOid, fileSize } of listed[0]?.lfsPointers ?? []) {
    assert.equal(Buffer.from(data).toString(), pointer(Number(fileSize)));
    assert.equal(size, BigInt(data.length));
    assert.equal(Buffer.from(fileOid).toString(), Number(fileSize).toString(16).padStart(64, '0'));
    assert.match(oid, /^[0-9a-f]{40}$/);
  }
});

test('a limit counts pointers', async () => {
  await using gitaly = await startGitaly();
  withPointers(gitaly, 20);
  const { blob } = gitaly.connection;

  for (const [limit, expected] of [
    [0, 20],
    [1, 1],
    [19, 19],
    [21, 20],
    [-1, 20],
  ] as const) {
    assert.equal(
      sizes(await Array.fromAsync(blob.listLFSPointers({ repository, revisions: ['main'], limit }))).length,
      expected,
    );
    assert.equal(
      sizes(await Array.fromAsync(blob.listAllLFSPointers({ repository, limit }))).length,
      expected,
    );
  }
});

test('GetLFSPointers skips what is no pointer, however large, and keeps the order', async () => {
  await using gitaly = await startGitaly();
  const run = withPointers(gitaly, 300);
  const large = run(['hash-object', '-w', '--stdin'], randomBytes(2_000_000));
  const numbers = Array.from({ length: 300 }, (_, index) => (index * 7) % 300);
  const blobIds = numbers.flatMap((size) => [`main:pointers/${size}`, large, 'main:text/1', 'main']);

  const messages = await Array.fromAsync(gitaly.connection.blob.getLFSPointers({ repository, blobIds }));

  assert.deepEqual(sizes(messages), numbers);
});

test('GetLFSPointers fails for an object that is not there, also behind good ones', async () => {
  await using gitaly = await startGitaly();
  const run = withPointers(gitaly, 1);
  const good = run(['rev-parse', 'main:pointers/0']);

  await assert.rejects(
    Array.fromAsync(
      gitaly.connection.blob.getLFSPointers({ repository, blobIds: [good, good, 'main:none'] }),
    ),
    /retrieving object info for "main:none": object not found/,
  );
});
