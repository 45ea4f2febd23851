import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type TestContext, test } from 'node:test';
import { ownerSuffix, ownIdentity } from '#base/process-identity';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { tempRoot } from './storage-layout.ts';
import { cleanTempDirectories, createTempDirectory, tempEntriesOfTheDead } from './temp-directories.ts';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

function tempStorage(context: TestContext): { name: string; path: string } {
  const directory = makeScratchDirectory('temp');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { name: 'default', path: directory };
}

test('a temporary directory is private, on the storage, and gone when disposed', async (context) => {
  const storage = tempStorage(context);
  let made = '';
  {
    await using directory = await createTempDirectory(storage, 'repo');
    made = directory.path;
    writeFileSync(`${made}/file`, '');
    assert.match(made.replace(`${tempRoot(storage)}/`, ''), /^repo\d+\.[0-9a-f]{8}\.\d+\.\d+$/);
    assert.equal(statSync(made).mode & 0o777, 0o700);
  }
  assert.equal(existsSync(made), false);
});

test('a temporary directory that was moved away may be disposed', async (context) => {
  const storage = tempStorage(context);

  const directory = await createTempDirectory(storage, 'repo');
  rmSync(directory.path, { recursive: true });

  await directory[Symbol.asyncDispose]();
});

test('a directory that forbids its removal is removed', {
  skip: process.getuid?.() === 0 && 'root is forbidden nothing',
}, async (context) => {
  const storage = tempStorage(context);
  const directory = await createTempDirectory(storage, 'repo');
  mkdirSync(`${directory.path}/a/b`, { recursive: true });
  chmodSync(`${directory.path}/a`, 0o000);

  await directory[Symbol.asyncDispose]();

  assert.equal(existsSync(directory.path), false);
});

test('the cleaner removes what is older than a week and leaves the rest', async (context) => {
  const storage = tempStorage(context);
  const root = tempRoot(storage);
  const nowMs = Date.now();
  const age = (name: string, milliseconds: number) =>
    utimesSync(`${root}/${name}`, (nowMs - milliseconds) / 1000, (nowMs - milliseconds) / 1000);
  for (const name of ['old', 'young']) mkdirSync(`${root}/${name}/deep`, { recursive: true });
  writeFileSync(`${root}/old-file`, '');
  symlinkSync(root, `${root}/young/link`);
  age('old', WEEK_MS + 1000);
  age('old-file', WEEK_MS + 1000);
  age('young', WEEK_MS - 60_000);

  const removed = await cleanTempDirectories(storage, { nowMs });

  assert.deepEqual([...removed].sort(), ['old', 'old-file']);
  assert.deepEqual(readdirSync(root), ['young']);
});

test('a storage without scratch space needs no cleaning', async (context) => {
  assert.deepEqual(await cleanTempDirectories(tempStorage(context)), []);
});

test('entries of dead processes are listed and removed, those of running ones are not', async (context) => {
  const storage = tempStorage(context);
  const root = tempRoot(storage);
  const dead = ownerSuffix().replace(/\.\d+\.\d+$/, `.${spawnSync('true').pid}.1`);
  for (const name of [`repo1${dead}`, `repo2${ownerSuffix()}`, 'of-nobody'])
    mkdirSync(`${root}/${name}`, { recursive: true });
  symlinkSync(JSON.stringify({ ...ownIdentity(), pid: spawnSync('true').pid }), `${root}/claim`);

  const found = await tempEntriesOfTheDead(storage);

  assert.deepEqual(found.sort(), [`${root}/claim`, `${root}/repo1${dead}`]);
  assert.deepEqual([...(await cleanTempDirectories(storage))].sort(), ['claim', `repo1${dead}`]);
});

/** Names longer than a path may be, made from inside, as a program in the directory could. */
const MAKE_DEEP = 'name=$(printf %0200d 0); for each in $(seq 25); do mkdir $name; cd -P $name; done';

// Born failing: those that came later in the directory stayed, each hour anew.
test('an entry that cannot be removed does not keep the others', async (context) => {
  const storage = tempStorage(context);
  const root = tempRoot(storage);
  const dead = ownerSuffix().replace(/\.\d+\.\d+$/, `.${spawnSync('true').pid}.1`);
  for (const name of ['a', 'm', 'z']) mkdirSync(`${root}/${name}${dead}`, { recursive: true });
  for (const name of ['a', 'z']) spawnSync('/bin/sh', ['-c', MAKE_DEEP], { cwd: `${root}/${name}${dead}` });

  await assert.rejects(cleanTempDirectories(storage), { code: 'ENAMETOOLONG' });

  assert.deepEqual(readdirSync(root).sort(), [`a${dead}`, `z${dead}`]);
  spawnSync('rm', ['-rf', root]);
});
