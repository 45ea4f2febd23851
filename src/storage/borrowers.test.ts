import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { Borrowers } from './borrowers.ts';
import type { Repository } from './repository.ts';

const { signal } = new AbortController();

/** Starts with a borrower. */
async function start() {
  const fixture = await StorageFixture.create();
  const borrower = fixture.init('borrower.git');
  const borrowers = new Borrowers();
  const found = async (walked = fixture.storages.all) =>
    (await borrowers.find(walked, signal)).map(({ location }) => location.relativePath);
  borrowFrom(borrower, '../../pool.git/objects');
  return { fixture, borrower, borrowers, found };
}

const fileOf = ({ path }: Repository): string => `${path}/objects/info/alternates`;

function borrowFrom(repository: Repository, line: string): void {
  rmSync(fileOf(repository), { recursive: true, force: true });
  writeFileSync(fileOf(repository), `${line}\n`);
}

/** Lets reads fail: the kernel answers EIO, as for a broken disk. */
function breakFile(repository: Repository): void {
  rmSync(fileOf(repository), { force: true });
  symlinkSync('/proc/self/mem', fileOf(repository));
}

const BROKEN = { message: /^read alternates file: .*i\/o error$/ };

// Symptom: a server without free descriptors deleted a pool whose members needed it.
test('a search fails while a file cannot be read, and finds the borrower afterwards', async () => {
  const { fixture, borrower, found } = await start();
  await using _fixture = fixture;
  assert.deepEqual(await found(), ['borrower.git']);

  breakFile(borrower);
  await assert.rejects(found([]), BROKEN);

  borrowFrom(borrower, '../../pool.git/objects');
  assert.deepEqual(await found([]), ['borrower.git']);
});

test('a new borrower whose file cannot be read is not missed', async () => {
  const { fixture, borrowers, found } = await start();
  await using _fixture = fixture;
  await found();
  const late = fixture.init('late.git');
  breakFile(late);

  await borrowers.note(late);

  await assert.rejects(found([]), BROKEN);
  borrowFrom(late, '../../pool.git/objects');
  assert.deepEqual(await found([]), ['borrower.git', 'late.git']);
});

test('a file that git ignores names nothing until it is repaired', async () => {
  const { fixture, borrower, found } = await start();
  await using _fixture = fixture;
  rmSync(fileOf(borrower));
  mkdirSync(fileOf(borrower));
  assert.deepEqual(await found(), []);

  borrowFrom(borrower, '../../pool.git/objects');
  assert.deepEqual(await found([]), ['borrower.git']);

  rmSync(`${borrower.objectDirectory}/info`, { recursive: true });
  writeFileSync(`${borrower.objectDirectory}/info`, '');
  assert.deepEqual(await found([]), []);
});

// Symptom: when one of two deletions of pools was aborted, the other one found no member.
test('a search that is aborted does not spoil another one', async () => {
  const { fixture, borrowers, found } = await start();
  await using _fixture = fixture;
  mkdirSync(`${fixture.storage.path}/a`); // both are there when one ends
  const abort = new AbortController();

  const aborted = borrowers.find(fixture.storages.all, abort.signal);
  const complete = found();
  abort.abort(new Error('enough'));

  await assert.rejects(aborted, { message: 'enough' });
  assert.deepEqual(await complete, ['borrower.git']);
  assert.deepEqual(await found(), ['borrower.git']);
});

test('a borrower that is moved with its directory is found after the list is forgotten', async () => {
  const { fixture, borrowers, borrower, found } = await start();
  await using _fixture = fixture;
  await found();

  renameSync(borrower.path, `${fixture.storage.path}/moved.git`);
  const during = found();
  await borrowers.forget();

  assert.deepEqual(await during, ['moved.git']);
  assert.deepEqual(await found(), ['moved.git']);
});
