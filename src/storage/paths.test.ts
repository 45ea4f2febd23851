import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { alternateDirectory, readAlternates } from './alternates.ts';
import { checkGitDirectory, isGitDirectory } from './git-directory.ts';
import { isPoolPath } from './pool-path.ts';
import { isOwnPath } from './storage-layout.ts';

const root = makeScratchDirectory('paths');
after(() => rmSync(root, { recursive: true }));

const HASH = `abcd${'0'.repeat(60)}`;
for (const [path, isPool] of [
  [`@pools/ab/cd/${HASH}.git`, true],
  [`other/@pools/ab/cd/${HASH}.git`, true],
  [`@pools/ab/ce/${HASH}.git`, false],
  [`@pools/ab/cd/${HASH}`, false],
  [`@hashed/ab/cd/${HASH}.git`, false],
  ['@cluster/pools/ab/cd/123', true],
  ['x/@cluster/pools/ab/cd/123', false],
  ['@cluster/pools/ab/cd/123x', false],
  ['@cluster/repositories/ab/cd/123', false],
] as const) {
  test(`${path} is ${isPool ? 'a' : 'no'} pool`, () => {
    assert.equal(isPoolPath(path), isPool);
  });
}

test('the server’s own directory is told by whole names', () => {
  const storage = { name: 'default', path: '/s' };

  for (const path of ['/s/+gitaly', '/s/+gitaly/tmp/x']) assert.ok(isOwnPath(storage, path), path);
  for (const path of ['/s/+gitaly2', '/s', '/s/a/+gitaly', '/+gitaly'])
    assert.ok(!isOwnPath(storage, path), path);
});

test('the alternates of a repository are its lines and their time', async () => {
  const file = `${root}/member.git/objects/info/alternates`;
  assert.equal(await readAlternates(`${root}/member.git`), undefined);
  mkdirSync(`${root}/member.git/objects/info`, { recursive: true });
  writeFileSync(file, '# pool\n../../pool.git/objects\n\n/abs\n');
  utimesSync(file, 1, 1_600_000_000);

  assert.deepEqual(await readAlternates(`${root}/member.git`), {
    objectDirectories: ['../../pool.git/objects', '/abs'],
    lastModifiedMs: 1_600_000_000_000,
  });
  rmSync(file);
  mkdirSync(file);
  await assert.rejects(readAlternates(`${root}/member.git`), { message: /^read alternates file: / });
  assert.equal(alternateDirectory('/s/member.git', '../../pool.git/objects'), '/s/pool.git/objects');
  assert.equal(alternateDirectory('/s/member.git', '/abs'), '/abs');
});

test('a directory is a repository with its three entries, of any type', () => {
  const path = join(root, 'x.git');
  const check = () => checkGitDirectory(path);
  assert.throws(check, { code: 'NOT_FOUND', message: 'repository not found' });
  mkdirSync(path);
  for (const entry of ['objects', 'refs', 'HEAD']) {
    assert.throws(check, {
      code: 'FAILED_PRECONDITION',
      message: `repository not valid: "${entry}" does not exist`,
    });
    assert.equal(isGitDirectory(path), false);
    writeFileSync(join(path, entry), '');
  }

  assert.equal(check().ino, statSync(path).ino);
  assert.equal(isGitDirectory(path), true);
});

test('what cannot be a repository is an error in the words of the system', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  const long = join(root, 'x'.repeat(300));
  const circle = join(root, 'circle.git');
  mkdirSync(circle);
  symlinkSync('objects', join(circle, 'objects'));

  for (const [path, message] of [
    [file, 'validate git directory: not a directory'],
    [join(file, 'x.git'), `validate git directory: stat: stat ${join(file, 'x.git')}: not a directory`],
    [long, `validate git directory: stat: stat ${long}: file name too long`],
    [circle, `validate git directory: stat: stat ${circle}/objects: too many levels of symbolic links`],
    [`${root}/a\0b`, `validate git directory: stat: stat ${root}/a\0b: invalid argument`],
  ] as const) {
    assert.throws(() => checkGitDirectory(path), { code: 'UNKNOWN', message });
    assert.equal(isGitDirectory(path), false);
  }
});
