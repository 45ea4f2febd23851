import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { trustedOid } from '#git/names/object-id';
import { trustedRefName } from '#git/names/ref-name';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { walkLooseRefs } from './walk-loose-refs.ts';

const path = makeScratchDirectory('walk');
after(() => rmSync(path, { recursive: true }));
mkdirSync(`${path}/refs/heads/deep`, { recursive: true });
for (const name of ['refs/heads/a', 'refs/heads/deep/b', 'refs/x'])
  writeFileSync(`${path}/${name}`, `${'1'.repeat(40)}\n`);

test('as many entries are read as are allowed, and one more is left to git', async () => {
  const options = { prefix: Buffer.from('refs/'), follow: () => undefined, skipsBadNames: true };

  // Three files and two directories.
  const refs = await walkLooseRefs(path, { ...options, maxEntries: 5 });
  assert.deepEqual(
    refs.map(({ name }) => name.toString()),
    ['refs/heads/a', 'refs/heads/deep/b', 'refs/x'],
  );
  await assert.rejects(walkLooseRefs(path, { ...options, maxEntries: 4 }), FallBackToGit);
});

test('a path is the reference of that name, and those below it: others are not read', async () => {
  const walk = async (prefix: string): Promise<string[]> => {
    const options = { follow: () => undefined, skipsBadNames: true, maxEntries: 1 };
    const refs = await walkLooseRefs(path, { ...options, prefix: Buffer.from(prefix), isPath: true });
    return refs.map(({ name }) => name.toString());
  };

  assert.deepEqual(await walk('refs/heads/a'), ['refs/heads/a']);
  assert.deepEqual(await walk('refs/heads/deep'), ['refs/heads/deep/b']);
  assert.deepEqual(await walk('refs/heads/absent'), []);
  assert.deepEqual(await walk('refs/heads/de'), []);
  assert.deepEqual(await walk('refs/heads/a/below'), []);
  assert.deepEqual(await walk('refs/heads/a.lock'), []);
});

test('a directory that vanished, or became a file, has no references', async () => {
  const walk = (prefix: string) =>
    walkLooseRefs(path, {
      prefix: Buffer.from(prefix),
      follow: () => undefined,
      skipsBadNames: true,
      maxEntries: 5,
    });

  assert.deepEqual(await walk('refs/gone/'), []);
  assert.deepEqual(await walk('refs/x/'), []);
});

test('files are references in the order of their names, except what git ignores', async () => {
  const other = `${path}/other`;
  const oid = '1'.repeat(40);
  for (const directory of ['heads/b', 'heads/.hidden', 'heads/dir.lock', 'tags'])
    mkdirSync(`${other}/refs/${directory}`, { recursive: true });
  for (const name of [
    'heads/a',
    'heads/b/c',
    'heads/b-c',
    'heads/.hidden/x',
    'heads/.x',
    'heads/x.lock',
    'heads/dir.lock/x',
    'tags/t',
  ])
    writeFileSync(`${other}/refs/${name}`, `${oid}\n`);
  writeFileSync(`${other}/refs/heads/link`, 'ref: refs/heads/a\n');
  writeFileSync(`${other}/refs/heads/dangling`, 'ref: refs/heads/none\n');
  const follow = (name: Buffer) =>
    name.toString().endsWith('link')
      ? { name: trustedRefName(Buffer.from('refs/heads/a')), oid: trustedOid(oid) }
      : undefined;
  const walk = async (prefix: string) =>
    (
      await walkLooseRefs(other, { prefix: Buffer.from(prefix), follow, skipsBadNames: true, maxEntries: 99 })
    ).map((ref) => `${ref.name.subarray(5)} ${ref.oid?.length ?? '-'} ${ref.symbolicTarget ?? '-'}`);
  const all = [
    'heads/a 40 -',
    'heads/b-c 40 -',
    'heads/b/c 40 -',
    'heads/dangling - -',
    'heads/link 40 refs/heads/a',
  ];

  assert.deepEqual(await walk('refs/'), [...all, 'tags/t 40 -']);
  assert.deepEqual(await walk('refs/heads/'), all);
  assert.deepEqual(await walk('refs/heads/b'), ['heads/b-c 40 -', 'heads/b/c 40 -']);
  assert.deepEqual(await walk('refs/heads/b/'), ['heads/b/c 40 -']);
  assert.deepEqual(await walk('refs/h'), all);
  assert.deepEqual(await walk('refs/heads/bb'), []);
});

test('a name that git does not allow is passed over, or left to git', async () => {
  const other = `${path}/odd`;
  mkdirSync(`${other}/refs/heads`, { recursive: true });
  for (const name of ['a', 'a..b']) writeFileSync(`${other}/refs/heads/${name}`, `${'1'.repeat(40)}\n`);
  const walk = (skipsBadNames: boolean, prefix = 'refs/heads/') =>
    walkLooseRefs(other, {
      prefix: Buffer.from(prefix),
      follow: () => undefined,
      skipsBadNames,
      maxEntries: 9,
    });

  assert.deepEqual(
    (await walk(true)).map(({ name }) => name.toString()),
    ['refs/heads/a'],
  );
  await assert.rejects(walk(false), FallBackToGit);
  assert.deepEqual(await walk(true, 'refs/../refs/heads/'), []);
  await assert.rejects(walk(false, 'refs/../refs/heads/'), FallBackToGit);
});

test('other work gets a turn when the files take long', async () => {
  const other = `${path}/many`;
  mkdirSync(`${other}/refs/x`, { recursive: true });
  for (let index = 0; index < 40; index++) writeFileSync(`${other}/refs/x/${index}`, 'ref: refs/x/y\n');
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    if (isOver) return;
    turns++;
    setImmediate(count);
  };
  setImmediate(count);

  await walkLooseRefs(other, {
    prefix: Buffer.from('refs/x/'),
    follow: () => {
      for (const end = performance.now() + 1; performance.now() < end; );
      return undefined;
    },
    skipsBadNames: true,
    maxEntries: 500,
  });
  isOver = true;

  assert.ok(turns >= 4, `${turns} turns in 40 ms`);
});

test('a large directory is read like a small one', async () => {
  const large = `${path}/large`;
  mkdirSync(`${large}/refs/x`, { recursive: true });
  const names = Array.from({ length: 1100 }, (_, index) => `refs/x/${index}`).sort();
  for (const name of names) writeFileSync(`${large}/${name}`, `${'1'.repeat(40)}\n`);
  const walk = (maxEntries: number) =>
    walkLooseRefs(large, {
      prefix: Buffer.from('refs/x/'),
      follow: () => undefined,
      skipsBadNames: true,
      maxEntries,
    });

  assert.deepEqual(
    (await walk(1100)).map(({ name }) => name.toString()),
    names,
  );
  await assert.rejects(walk(1099), FallBackToGit);
  await assert.rejects(walk(999), FallBackToGit);
});

test('no file is read in a directory that has more than are allowed', async () => {
  const symbolic = `${path}/symbolic`;
  mkdirSync(`${symbolic}/refs/x`, { recursive: true });
  for (let index = 0; index < 3; index++) writeFileSync(`${symbolic}/refs/x/${index}`, 'ref: refs/y\n');
  let followed = 0;
  const walk = (maxEntries: number) =>
    walkLooseRefs(symbolic, {
      prefix: Buffer.from('refs/x/'),
      follow: () => {
        followed++;
        return undefined;
      },
      skipsBadNames: true,
      maxEntries,
    });

  await assert.rejects(walk(2), FallBackToGit);
  assert.equal(followed, 0);
  assert.equal((await walk(3)).length, 3);
});
