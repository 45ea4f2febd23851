import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { Storage } from '../repository-target.ts';
import { Namespace } from './namespaces.ts';

function makeStorage(context: TestContext): Storage {
  const path = makeScratchDirectory('names');
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return { name: 'default', path };
}

test('a path outside the storage, the storage itself and our own directory are no namespaces', (context) => {
  const storage = makeStorage(context);
  symlinkSync('/', join(storage.path, 'link'));

  for (const name of ['../x', '', '.', 'a/..', 'a\0b', '+gitaly', '+gitaly/tmp', 'link/tmp'])
    assert.throws(
      () => new Namespace(storage, name),
      { code: 'INVALID_ARGUMENT', message: 'relative path escapes root directory' },
      name,
    );
  assert.equal(new Namespace(storage, 'a/../b/').path, join(storage.path, 'b'));
});

test('a namespace is a directory, made with its parents and removed with its content', async (context) => {
  const storage = makeStorage(context);
  const namespace = new Namespace(storage, 'a/b');
  assert.equal(await namespace.exists(), false);

  for (const _ of [1, 2]) await namespace.create();
  writeFileSync(join(storage.path, 'a/b/file'), '');
  assert.equal(await namespace.exists(), true);
  assert.equal(await new Namespace(storage, 'a/b/file').exists(), false);
  assert.equal(await new Namespace(storage, 'a/b/file/x').exists(), false);

  for (const _ of [1, 2]) await namespace.remove();
  assert.equal(await namespace.exists(), false);
  assert.deepEqual(readdirSync(join(storage.path, 'a')), []);
  assert.deepEqual(readdirSync(join(storage.path, '+gitaly/tmp')), []);
});

test('a namespace is moved with its content, but not into itself or from nowhere', async (context) => {
  const storage = makeStorage(context);
  const [from, to] = [new Namespace(storage, 'a'), new Namespace(storage, 'x/y')];
  mkdirSync(join(storage.path, 'a/inner'), { recursive: true });

  for (const name of ['a', 'a/b'])
    await assert.rejects(from.moveTo(new Namespace(storage, name)), {
      code: 'INVALID_ARGUMENT',
      message: 'a directory cannot be moved into itself',
    });
  await from.moveTo(to);

  assert.deepEqual(readdirSync(to.path), ['inner']);
  assert.equal(existsSync(from.path), false);
  await assert.rejects(from.moveTo(new Namespace(storage, 'z/z')), { code: 'ENOENT' });
  assert.equal(existsSync(join(storage.path, 'z')), false);
  // A name that only begins with that of the other.
  await to.moveTo(new Namespace(storage, 'x/yy'));
});

test('a namespace does not take the place of another one', async (context) => {
  const storage = makeStorage(context);
  for (const name of ['a', 'b/inner']) mkdirSync(join(storage.path, name), { recursive: true });

  const moved = new Namespace(storage, 'a').moveTo(new Namespace(storage, 'b'));

  await assert.rejects(moved, { code: 'ENOTEMPTY' });
});

test('repositories of a namespace that moves deeper find the objects of pools', async () => {
  await using fixture = await StorageFixture.create();
  const pool = fixture.init('@pools/p.git', { commits: 1 });
  const inside = fixture.init('group/inside.git', { commits: 1 });
  const tipOf = ({ path }: { readonly path: string }): string => fixture.runGit(path, ['rev-parse', 'main']);
  const lenders = {
    'a.git': ['../../../@pools/p.git/objects', pool],
    'b.git': ['../../inside.git/objects', inside],
  } as const;
  for (const [name, [line, lender]] of Object.entries(lenders)) {
    const { path } = fixture.init(`group/${name}`);
    writeFileSync(join(path, 'objects/info/alternates'), `${line}\n`);
    fixture.runGit(path, ['update-ref', 'refs/heads/main', tipOf(lender)]);
  }
  const [from, to] = ['group', 'a/deep/er'].map((name) => new Namespace(fixture.storage, name));

  assert.ok(from && to);
  await from.moveTo(to);

  for (const name of Object.keys(lenders))
    assert.equal(fixture.runGit(join(to.path, name), ['cat-file', '-t', 'main']), 'commit');
  const lineOf = (name: string): string =>
    readFileSync(join(to.path, name, 'objects/info/alternates'), 'utf8').trim();
  assert.equal(lineOf('a.git'), '../../../../../@pools/p.git/objects');
  assert.equal(lineOf('b.git'), lenders['b.git'][0]);
});
