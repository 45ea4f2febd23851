import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startForeignServer } from '#testkit/servers/foreign-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { steady, until } from '#testkit/until';
import { GetArchiveResponseSchema } from '#wire/gen/repository_pb';
import { CallError, dial, openArchive, openBlob, openTreeEntry, readableFrom } from '../index.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git' };
const LARGE = Buffer.alloc(1_000_000, 'large');

function repositoryWith(gitaly: TestGitaly, files: Record<string, Buffer>): string {
  const path = join(gitaly.storagePath(), 'a.git');
  gitOutput('/', ['init', '-q', '--bare', '-b', 'main', path]);
  const lines = ['commit refs/heads/main', 'committer C <c@x> 1 +0000', 'data 1', 'm'];
  for (const [name, content] of Object.entries(files))
    lines.push(`M 100644 inline ${name}`, `data ${content.length}`, content.toString());
  gitOutput(path, ['fast-import', '--quiet', '--done'], [...lines, 'done', ''].join('\n'));
  return path;
}

interface Writer {
  write(message: Buffer): boolean;
  end(): void;
  on(event: string, listener: () => void): void;
  emit(event: 'error', error: unknown): void;
}

const piece = (data: string) =>
  Buffer.from(
    toBinary(GetArchiveResponseSchema, create(GetArchiveResponseSchema, { data: Buffer.from(data) })),
  );

test('a blob has its size before its content is read', async () => {
  await using gitaly = await startGitaly();
  const path = repositoryWith(gitaly, { large: LARGE });
  const oid = gitOutput(path, ['rev-parse', 'main:large']);

  const blob = await openBlob(gitaly.connection, { repository: REPOSITORY, oid });

  assert.ok(blob);
  assert.deepEqual([blob.oid, blob.size], [oid, BigInt(LARGE.length)]);
  assert.deepEqual(await buffer(blob.content), LARGE);
  assert.equal(await openBlob(gitaly.connection, { repository: REPOSITORY, oid: '1'.repeat(40) }), undefined);
  await assert.rejects(openBlob(gitaly.connection, { repository: REPOSITORY, oid: '' }), {
    code: 'INVALID_ARGUMENT',
  });
});

test('a tree entry has its type', async () => {
  await using gitaly = await startGitaly();
  repositoryWith(gitaly, { 'dir/small': Buffer.from('hello') });
  const at = (path: string) => ({
    repository: REPOSITORY,
    revision: Buffer.from('main'),
    path: Buffer.from(path),
  });

  const file = await openTreeEntry(gitaly.connection, at('dir/small'));
  const directory = await openTreeEntry(gitaly.connection, at('dir'));

  assert.ok(file && directory);
  assert.deepEqual([file.type, file.mode, file.size, await text(file.content)], [1, 0o100644, 5n, 'hello']);
  assert.deepEqual([directory.type, directory.mode, await text(directory.content)], [2, 0o40000, '']);
  await assert.rejects(openTreeEntry(gitaly.connection, at('none')), { code: 'NOT_FOUND' });
});

test('an archive is a stream; an early error is thrown, a later one is the error of the stream', async () => {
  let calls = 0;
  const getArchive = (call: Writer) => {
    calls++;
    if (calls === 1) return call.emit('error', { code: 5, details: 'no such repository' });
    call.write(piece('one '));
    if (calls === 2) return call.emit('error', { code: 13, details: 'git died' });
    call.write(piece(''));
    call.write(piece('two'));
    return call.end();
  };
  await using server = await startForeignServer({ getArchive });
  await using connection = await dial(server.address);

  await assert.rejects(openArchive(connection, {}), { code: 'NOT_FOUND' });
  const broken = await openArchive(connection, {});
  await assert.rejects(text(broken), (error) => error instanceof CallError && error.code === 'INTERNAL');
  assert.equal(await text(await openArchive(connection, {})), 'one two');
});

test('destroying a stream cancels its call, even while the server is silent', async () => {
  const cancelled = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let calls = 0;
  const getArchive = (call: Writer) => {
    const { resolve } = cancelled[calls++] ?? {};
    if (resolve !== undefined) call.on('cancelled', resolve);
    if (calls === 1) call.write(piece('one'));
  };
  await using server = await startForeignServer({ getArchive });
  await using connection = await dial(server.address);

  const begun = await openArchive(connection, {});
  begun.on('data', () => begun.destroy());
  await cancelled[0]?.promise;

  const silent = readableFrom(connection.repository.getArchive({}), ({ data }) => data);
  silent.resume();
  await until(() => calls === 2);
  silent.destroy();
  await cancelled[1]?.promise;
});

test('content is read only as fast as it is consumed', async () => {
  let written = 0;
  const getArchive = (call: Writer & { once(event: 'drain', listener: () => void): void }) => {
    const block = piece('x'.repeat(65_536));
    const write = () => {
      while (written < 64 << 20) {
        written += 65_536;
        if (!call.write(block)) {
          call.once('drain', write);
          return;
        }
      }
      call.end();
    };
    write();
  };
  await using server = await startForeignServer({ getArchive });
  await using connection = await dial(server.address);

  const archive = await openArchive(connection, {});
  await steady(() => written);

  assert.ok(archive instanceof Readable);
  assert.ok(written < 8 << 20, `${written} bytes were taken that nobody read`);
  archive.destroy();
});

test('what a server of Gitaly 15 does not have is undefined, and its call is cancelled', async () => {
  let calls = 0;
  const cancelled = Promise.withResolvers<void>();
  const treeEntry = (call: Writer) => {
    calls++;
    if (calls === 1) return call.end();
    call.on('cancelled', cancelled.resolve);
    return void call.write(Buffer.alloc(0)); // an entry without an id
  };
  await using server = await startForeignServer({ treeEntry });
  await using connection = await dial(server.address);

  assert.equal(await openTreeEntry(connection, {}), undefined);
  assert.equal(await openTreeEntry(connection, {}), undefined);

  await cancelled.promise;
});
