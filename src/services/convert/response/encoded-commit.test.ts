import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import type { Oid } from '#git/names/object-id';
import { FoundCommit } from '#git/objects/found-commit';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { GitCommitSchema } from '#wire/gen/shared_pb';
import { encodedCommit } from './encoded-commit.ts';

function decoded(bytes: Buffer): { subject: string; author: string; trailers: number } {
  const { author, subject, trailers } = fromBinary(GitCommitSchema, bytes);
  return {
    subject: Buffer.from(subject).toString(),
    author: Buffer.from(author?.name ?? []).toString(),
    trailers: trailers.length,
  };
}

test('the message of a cached commit is encoded once, for each mailmap', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const git = (args: string[], input = ''): string => gitOutput(repository.path, args, input);
  const mailmap = git(['hash-object', '-w', '--stdin'], 'Another <a@x> <a@x>\n');
  const tree = git(['mktree'], `100644 blob ${mailmap}\t.mailmap\n`);
  const person = 'A <a@x> 1600000000 +0000';
  const text = `tree ${tree}\nauthor ${person}\ncommitter ${person}\n\nsubject\n`;
  git(['update-ref', 'refs/heads/main', git(['hash-object', '-t', 'commit', '-w', '--stdin'], text)]);
  const read = async (usesMailmap: boolean): Promise<FoundCommit> => {
    const found = await repository.objects.findCommit('main', { mailmap: usesMailmap });
    assert.ok(found);
    return found;
  };

  const first = encodedCommit(await read(true));
  const second = encodedCommit(await read(true));
  assert.deepEqual(decoded(first), { subject: 'subject', author: 'Another', trailers: 0 });
  assert.ok(second.equals(first));
  assert.equal(encodedCommit(await read(true)), second);

  assert.equal(decoded(encodedCommit(await read(false))).author, 'A');
  assert.equal(decoded(encodedCommit(await read(true))).author, 'Another');
  const trailers = [{ key: Buffer.from('k'), value: Buffer.from('v') }];
  assert.equal(decoded(encodedCommit(await read(true), { trailers })).trailers, 1);
  assert.equal(decoded(encodedCommit(await read(true))).trailers, 0);
});

test('another object with the same id, as in a damaged repository, has its own message', () => {
  const commit = (subject: string): FoundCommit => {
    const data = Buffer.from(`tree ${'1'.repeat(40)}\n\n${subject}\n`);
    return new FoundCommit(
      { oid: '2'.repeat(40) as Oid, type: 'commit', size: data.length, data, isCached: true },
      undefined,
    );
  };

  for (const subject of ['one', 'other', 'one']) {
    const found = commit(subject);
    for (let time = 0; time < 2; time++) assert.equal(decoded(encodedCommit(found)).subject, subject);
  }
});
