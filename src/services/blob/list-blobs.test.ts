// Own process: it measures memory

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { slowly } from '#testkit/faults/slowly';
import { fastImport } from '#testkit/repositories/commit-files';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import type { ListBlobsResponse, ListBlobsResponse_Blob } from '#wire/gen/blob_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const MAX_PIECE_BYTES = 128 * 1024;
const MIB = 1024 * 1024;

interface Fixture {
  run(args: string[], input?: string | Uint8Array): string;
  /** Adds a commit with these files to `main`. */
  commit(files: Readonly<Record<string, Uint8Array | string>>): string;
}

function fixture(gitaly: TestGitaly, objectFormat: 'sha1' | 'sha256' = 'sha1'): Fixture {
  const directory = initServed(gitaly, 'x.git', { objectFormat });
  const run = (args: string[], input?: string | Uint8Array): string => gitOutput(directory, args, input);
  const commit = (files: Readonly<Record<string, Uint8Array | string>>): string => {
    const parts: (string | Uint8Array)[] = [
      'commit refs/heads/main\ncommitter A <a@x> 1600000000 +0000\ndata 1\nx\n',
    ];
    for (const [name, content] of Object.entries(files)) {
      parts.push(`M 100644 inline "${name}"\ndata ${content.length}\n`, content, '\n');
    }
    fastImport(directory, Buffer.concat(parts.map((part) => Buffer.from(part))));
    return run(['rev-parse', 'main']);
  };
  return { run, commit };
}

/** Blobs put together: an item with an id begins one. */
function blobsOf(messages: readonly ListBlobsResponse[]): { first: ListBlobsResponse_Blob; data: Buffer }[] {
  const blobs: { first: ListBlobsResponse_Blob; pieces: Uint8Array[] }[] = [];
  for (const item of messages.flatMap((message) => message.blobs)) {
    if (item.oid !== '') blobs.push({ first: item, pieces: [item.data] });
    else {
      const blob = blobs.at(-1);
      blob?.pieces.push(item.data);
      assert.equal(item.size, 0n);
      assert.deepEqual(item.path, blob?.first.path);
    }
    assert.ok(item.data.length <= MAX_PIECE_BYTES);
  }
  return blobs.map(({ first, pieces }) => ({ first, data: Buffer.concat(pieces) }));
}

/** Number of git processes that the last ListBlobs started. */
function startsOf(gitaly: TestGitaly): number {
  const line = gitaly.log.findLast(
    (each) => each['grpc.method'] === 'ListBlobs' && each['grpc.code'] !== undefined,
  );
  assert.ok(line !== undefined);
  return Number(line['command.count'] ?? 0);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`ListBlobs agrees with rev-list in a ${objectFormat} repository, large blobs in pieces`, async () => {
    await using gitaly = await startGitaly();
    const { run, commit } = fixture(gitaly, objectFormat);
    const files: Record<string, Uint8Array> = { 'dir/big': randomBytes(5 * MIB), empty: Buffer.alloc(0) };
    for (let index = 0; index < 2000; index++)
      files[`dir/${index % 7}/file ${index}`] = Buffer.from(`content ${index} `.repeat(index % 90));
    commit(files);
    commit({ new: 'new' });

    const request = { repository, revisions: ['main'], bytesLimit: -1n, withPaths: true };
    const messages = await Array.fromAsync(gitaly.connection.blob.listBlobs(request));

    const printed = run([
      'rev-list',
      '--objects',
      '--in-commit-order',
      '--filter=object:type=blob',
      '--filter-provided-objects',
      'main',
    ]);
    const blobs = blobsOf(messages);
    assert.deepEqual(
      blobs.map(({ first }) => `${first.oid} ${Buffer.from(first.path)}`),
      printed.split('\n'),
    );
    for (const { first, data } of blobs) {
      const path = Buffer.from(first.path).toString();
      assert.ok(data.equals(files[path] ?? Buffer.from('new')), path);
      assert.equal(first.size, BigInt(data.length));
    }
    for (const message of messages) {
      const bytes = message.blobs.reduce(
        (sum, { oid, data, path }) => sum + oid.length + data.length + path.length,
        0,
      );
      assert.ok(bytes < MIB, `${bytes} bytes`);
    }
  });
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`ListBlobs agrees with git about ids of blobs in a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const { run, commit } = fixture(gitaly, objectFormat);
    const contents = {
      a: Buffer.from('a'),
      b: randomBytes(200_000),
      empty: Buffer.alloc(0),
      'dir/c': randomBytes(100),
      big: randomBytes(300_000),
    };
    commit(contents);
    const idOf = (revision: string): string => run(['rev-parse', revision]);
    const files = new Map(Object.entries(contents).map(([name, data]) => [idOf(`main:${name}`), data]));
    const [a, b, empty, c] = files.keys();
    run(['tag', '-a', '-m', 'x', 'to-blob', 'main:a']);
    const filter = ['--filter=object:type=blob', '--filter-provided-objects'];
    const cases: { revisions: (string | undefined)[]; isInProcess: boolean }[] = [
      { revisions: [c, a, b, a, empty], isInProcess: true },
      { revisions: [a], isInProcess: true },
      { revisions: [b, idOf('main:big'), a], isInProcess: false },
      { revisions: [a, idOf('main'), c], isInProcess: false },
      { revisions: [c, idOf('main:dir'), a], isInProcess: false },
      { revisions: [b, idOf('to-blob')], isInProcess: false },
      { revisions: [a, `^${c}`, c], isInProcess: false },
      { revisions: [a?.toUpperCase()], isInProcess: false },
    ];

    for (const each of cases) {
      const revisions = each.revisions.map(String);
      const printed = run(['rev-list', '--objects', '--in-commit-order', ...filter, ...revisions]);
      for (const bytesLimit of [-1n, 150_000n, 3n]) {
        const request = { repository, revisions, bytesLimit, withPaths: true };
        const blobs = blobsOf(await Array.fromAsync(gitaly.connection.blob.listBlobs(request)));

        const what = `${revisions} ${bytesLimit}`;
        const found = blobs.map(({ first }) => `${first.oid} ${Buffer.from(first.path)}`.trimEnd());
        assert.deepEqual(
          found,
          printed.split('\n').map((line) => line.trimEnd()),
          what,
        );
        for (const { first, data } of blobs) {
          const whole = files.get(first.oid);
          assert.ok(whole !== undefined, what);
          assert.equal(first.size, BigInt(whole.length), what);
          assert.ok(data.equals(bytesLimit < 0n ? whole : whole.subarray(0, Number(bytesLimit))), what);
        }
        assert.equal(startsOf(gitaly) === 0, each.isInProcess, what);
      }
    }
  });
}

test("ListBlobs of ids sends sizes alone, at most so many, and git's error for a missing one", async () => {
  await using gitaly = await startGitaly();
  const { run, commit } = fixture(gitaly);
  commit({ a: 'a', b: 'bb', big: randomBytes(300_000) });
  const ids = ['main:big', 'main:b', 'main:a'].map((name) => run(['rev-parse', name]));
  const list = async (request: { revisions: string[]; bytesLimit: bigint; limit: number }) =>
    blobsOf(await Array.fromAsync(gitaly.connection.blob.listBlobs({ repository, ...request })));
  const missing = '1'.repeat(40);

  const sizes = await list({ revisions: ids, bytesLimit: 0n, limit: 0 });
  const starts = startsOf(gitaly);
  const first = await list({ revisions: [...ids.slice(1), ids[1] ?? ''], bytesLimit: -1n, limit: 1 });

  assert.deepEqual(
    sizes.map((blob) => [blob.first.oid, blob.first.size, blob.data.length]),
    ids.map((id, index) => [id, [300_000n, 2n, 1n][index], 0]),
  );
  assert.deepEqual(
    first.map((blob) => blob.data.toString()),
    ['bb'],
  );
  assert.deepEqual([startsOf(gitaly), starts], [0, 0]);
  const stderr = `"fatal: bad object ${missing}\\n"`;
  await assert.rejects(list({ revisions: [ids[2] ?? '', missing], bytesLimit: -1n, limit: 1 }), {
    message: `processing blobs: rev-list pipeline command: exit status 128, stderr: ${stderr}`,
  });
});

for (const inProcess of [true, false]) {
  test(`ListBlobs sends nothing when a named blob is damaged, in_process = ${inProcess}`, async () => {
    await using gitaly = await startGitaly({ config: { git: { in_process: inProcess } } });
    const { run, commit } = fixture(gitaly);
    commit({ a: 'a' });
    const [intact, oid] = [run(['rev-parse', 'main:a']), run(['hash-object', '-w', '--stdin'], 'damaged')];
    const file = join(gitaly.storagePath(), 'x.git/objects', oid.slice(0, 2), oid.slice(2));
    chmodSync(file, 0o644);
    writeFileSync(file, readFileSync(file).subarray(0, -6));
    const messages: ListBlobsResponse[] = [];

    await assert.rejects(
      async () => {
        const request = { repository, revisions: [intact, oid], bytesLimit: -1n };
        for await (const message of gitaly.connection.blob.listBlobs(request)) messages.push(message);
      },
      { message: 'processing blobs: read info line: EOF' },
    );

    assert.deepEqual(messages, []);
  });
}

test('ListBlobs counts blobs, not pieces, and cuts each at its limit', async () => {
  await using gitaly = await startGitaly();
  const { commit } = fixture(gitaly);
  commit({ a: randomBytes(300_000), b: randomBytes(300_000), c: 'c' });

  for (const bytesLimit of [0n, 5n, 200_000n, -1n]) {
    const messages = await Array.fromAsync(
      gitaly.connection.blob.listBlobs({ repository, revisions: ['main'], bytesLimit, limit: 2 }),
    );
    const blobs = blobsOf(messages);

    const length = bytesLimit < 0n ? 300_000 : Number(bytesLimit);
    assert.deepEqual(
      blobs.map(({ first, data }) => [first.size, data.length, first.path.length]),
      [
        [300_000n, length, 0],
        [300_000n, length, 0],
      ],
    );
  }
});

test('ListBlobs sends before git has finished, and ends it when the reader leaves', async () => {
  await using gitaly = await startGitaly();
  const { commit } = fixture(gitaly);
  commit(Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, randomBytes(MIB)])));
  const before = process.memoryUsage().rss;

  for (let leaving = 0; leaving < 3; leaving++) {
    for await (const { blobs } of gitaly.connection.blob.listBlobs({
      repository,
      revisions: ['main'],
      bytesLimit: -1n,
    })) {
      assert.ok(blobs.length > 0);
      break;
    }
  }
  let messages = 0;
  const blobs = gitaly.connection.blob.listBlobs({ repository, revisions: ['main'], bytesLimit: -1n });
  for await (const _ of slowly(blobs, 5)) if (++messages === 20) break;

  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 120 * MIB, `${Math.round(grown / MIB)} MiB`);
});

test('ListBlobs sends nothing of a chunk that was not finished when git fails', async () => {
  await using gitaly = await startGitaly();
  const { commit } = fixture(gitaly);
  commit({ a: 'a' });
  const messages: ListBlobsResponse[] = [];

  await assert.rejects(async () => {
    const answers = gitaly.connection.blob.listBlobs({ repository, revisions: ['main', '--not', 'nope'] });
    for await (const message of answers) messages.push(message);
  }, /processing blobs: rev-list pipeline command: exit status 128, stderr: "fatal: bad revision 'nope'\\n"/);

  assert.deepEqual(messages, []);
});

test('ListAllBlobs lists unreachable blobs, and of a quarantine those of its directories', async () => {
  await using gitaly = await startGitaly();
  const { run, commit } = fixture(gitaly);
  commit({ a: 'a' });
  const dangling = run(['hash-object', '-w', '--stdin'], 'dangling');
  const known = run(['rev-parse', 'main:a']);
  const quarantined = run(['hash-object', '-w', '--stdin'], 'quarantined');
  const [folder, file] = [quarantined.slice(0, 2), quarantined.slice(2)];
  const directory = join(gitaly.storagePath(), 'x.git');
  mkdirSync(join(directory, 'incoming', folder), { recursive: true });
  renameSync(join(directory, 'objects', folder, file), join(directory, 'incoming', folder, file));
  const list = async (directories: object): Promise<string[]> => {
    const messages = await Array.fromAsync(
      gitaly.connection.blob.listAllBlobs({ repository: { ...repository, ...directories }, bytesLimit: -1n }),
    );
    return messages
      .flatMap(({ blobs }) => blobs.map(({ oid, data }) => `${oid} ${Buffer.from(data)}`))
      .sort();
  };

  const own = [`${known} a`, `${dangling} dangling`].sort();
  assert.deepEqual(await list({}), own);
  assert.deepEqual(await list({ gitObjectDirectory: 'incoming' }), [`${quarantined} quarantined`]);
  assert.deepEqual(
    await list({ gitObjectDirectory: 'incoming', gitAlternateObjectDirectories: ['objects'] }),
    [...own, `${quarantined} quarantined`].sort(),
  );
});

test('ListAllBlobs fails at an object that cannot be read, because push checks need all', async () => {
  await using gitaly = await startGitaly();
  const { run, commit } = fixture(gitaly);
  commit({ a: 'a' });
  const oid = run(['hash-object', '-w', '--stdin'], 'damaged');
  const file = join(gitaly.storagePath(), 'x.git/objects', oid.slice(0, 2), oid.slice(2));
  chmodSync(file, 0o644);
  writeFileSync(file, 'no object');

  const { blob, commit: commits } = gitaly.connection;
  const wrong = { code: 'INTERNAL', message: 'parsing object info: object not found' };
  await assert.rejects(Array.fromAsync(blob.listAllBlobs({ repository })), {
    ...wrong,
    message: `processing blobs: ${wrong.message}`,
  });
  await assert.rejects(Array.fromAsync(blob.listAllLFSPointers({ repository })), wrong);
  await assert.rejects(Array.fromAsync(commits.listAllCommits({ repository })), {
    ...wrong,
    message: `iterating objects: ${wrong.message}`,
  });
});
