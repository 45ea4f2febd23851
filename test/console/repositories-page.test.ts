import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '#testkit/until';
import { type OpenedConsole, openConsole } from './open-console.ts';

const POOL_HASH = createHash('sha256').update('pool').digest('hex');
const POOL = `@pools/${POOL_HASH.slice(0, 2)}/${POOL_HASH.slice(2, 4)}/${POOL_HASH}.git`;
const INCOMPRESSIBLE = Buffer.concat(
  Array.from({ length: 3000 }, (_, index) => createHash('sha512').update(`${index}`).digest()),
);
const HOSTILE = '"><img src=x onerror=alert(1)>\u202Egit';

interface Row {
  readonly name: string;
  readonly pushed: string;
  readonly bytes: number;
  readonly debt: number;
  readonly looseObjects: number;
  readonly packfiles: number;
  readonly pool: string | null;
}

describe('the repositories of the console', () => {
  let console: OpenedConsole;
  const row = async (name: string): Promise<Row | undefined> =>
    (await console.json('/repositories')).repositories.find((each: Row) => each.name === name);
  const sorted = async (sort: string): Promise<Row[]> =>
    (await console.json(`/repositories?sort=${sort}`)).repositories;
  const namesBy = async (sort: string): Promise<string[]> => (await sorted(sort)).map(({ name }) => name);

  before(async () => {
    console = await openConsole();
    const { gitaly } = console;
    const large = await gitaly.createRepository({ relativePath: 'large.git', commits: 3 });
    await large.commit({ files: { 'x.bin': INCOMPRESSIBLE } });
    await gitaly.createRepository({ relativePath: 'a/small.git', commits: 1 });
    const fork = await gitaly.createRepository({ relativePath: 'z/fork.git', commits: 1 });
    const origin = large;
    const objectPool = { repository: { storageName: 'default', relativePath: POOL } };
    await gitaly.connection.objectPool.createObjectPool({ objectPool, origin });
    await gitaly.connection.objectPool.linkRepositoryToObjectPool({ objectPool, repository: fork });
    for (const [index, name] of ['large.git', 'a/small.git', 'z/fork.git'].entries()) age(name, index);
  });
  after(() => console[Symbol.asyncDispose]());

  /** Makes a repository old, the first one least. */
  function age(name: string, days: number): void {
    const path = join(console.gitaly.storagePath(), name);
    const time = new Date(Date.UTC(2020, 0, 20 - days));
    for (const part of [
      '',
      'objects',
      'refs/heads',
      'refs/tags',
      'HEAD',
      'packed-refs',
      'reftable/tables.list',
    ])
      if (statSync(join(path, part), { throwIfNoEntry: false })) utimesSync(join(path, part), time, time);
  }

  test('are sorted by what git and the file system report', async () => {
    assert.deepEqual(await namesBy('name'), ['a/small.git', 'large.git', 'z/fork.git']);
    assert.deepEqual(await namesBy('size'), ['large.git', 'a/small.git', 'z/fork.git']);
    assert.equal((await row('z/fork.git'))?.looseObjects, 3, 'without those of its pool');
    assert.deepEqual(await namesBy('pushed'), ['large.git', 'a/small.git', 'z/fork.git']);
    assert.equal((await row('large.git'))?.pushed, '2020-01-20T00:00:00.000Z');
    assert.deepEqual(await namesBy('pool'), ['z/fork.git', 'a/small.git', 'large.git']);
    assert.equal((await row('z/fork.git'))?.pool, POOL);
    const debts = (await sorted('debt')).map(({ debt }) => debt);
    assert.deepEqual(
      debts,
      debts.toSorted((one, other) => other - one),
    );
    for (const name of ['large.git', 'a/small.git']) {
      const repository = { storageName: 'default', relativePath: name };
      const { objects, size } = await console.gitaly.connection.repository.repositoryInfo({ repository });
      const shown = await row(name);
      assert.deepEqual(
        [shown?.bytes, shown?.looseObjects],
        [Number(size), Number(objects?.looseObjectsCount)],
      );
    }
  });

  test('show a push at once, with its time and new figures', async () => {
    const before = await row('a/small.git');
    const small = { storageName: 'default', relativePath: 'a/small.git' };
    const { commit } = await console.json('/repository/a/small.git');
    const started = Date.now() - 1000; // a file's time is that of a coarser clock
    await console.gitaly.connection.repository.writeRef({
      repository: small,
      ref: Buffer.from('refs/heads/other'),
      revision: Buffer.from(String(commit)),
    });

    const after = await row('a/small.git');
    assert.equal(before?.pushed, '2020-01-19T00:00:00.000Z');
    assert.ok(Date.parse(String(after?.pushed)) >= started);
    age('a/small.git', 1);
  });

  // Symptom: a repository that was just pushed was missing in the list for ten seconds, and in one
  // of a million repositories for hours.
  test('are listed as soon as they are created, renamed and removed', async () => {
    const { repository } = console.gitaly.connection;
    const at = (relativePath: string) => ({ storageName: 'default', relativePath });
    const names = async (): Promise<string[]> =>
      (await console.json('/repositories?search=fresh')).repositories.map(({ name }: Row) => name);
    const listed = async (expected: string[]): Promise<void> => {
      // Two looks within a fifth of a second read the storage once.
      const isListed = async () => JSON.stringify(await names()) === JSON.stringify(expected);
      await until(isListed, `${expected} is listed`, 5000);
    };
    assert.deepEqual(await names(), []);

    await repository.createRepository({ repository: at('group/fresh.git') });
    await listed(['group/fresh.git']);
    await repository.renameRepository({
      repository: at('group/fresh.git'),
      relativePath: 'other/fresher.git',
    });
    await listed(['other/fresher.git']);
    await repository.removeRepository({ repository: at('other/fresher.git') });

    await listed([]);
  });

  test('are shown with their figures, and headings that sort', async () => {
    const { text } = await console.get('/repositories?sort=size&search=l');
    assert.match(text, /<option value="size" selected>Size<\/option>/);
    assert.match(text, /<a href="\/-\/console\/repositories\?search=l&amp;sort=debt">Maintenance due<\/a>/);
    assert.match(text, /3 repositories\.<\/p>/);
    assert.ok(text.indexOf('>large<') < text.indexOf('>a/small<'), 'the larger one first');
  });

  test('are found by hostile texts only in names, which are shown as they are', async () => {
    const query = new URLSearchParams({ search: HOSTILE, sort: HOSTILE, from: HOSTILE });
    const { status, text } = await console.get(`/repositories?${query}`);
    assert.equal(status, 200);
    assert.doesNotMatch(text, /<img|\u202E/);
    assert.match(text, /No repository has “&quot;&gt;&lt;img src=x onerror=alert\(1\)&gt;⟨U\+202E⟩git”/);
  });

  test('that are removed or broken leave the others as they are', async () => {
    const { gitaly } = console;
    await gitaly.createRepository({ relativePath: 'broken.git' });
    await console.json('/repositories');
    rmSync(join(gitaly.storagePath(), 'broken.git'), { recursive: true });
    const { repositories } = await console.json('/repositories?search=large');
    assert.equal(repositories.length, 1);
    assert.equal((await console.get('/repositories')).status, 200);
  });
});
