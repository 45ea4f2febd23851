import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { collectLfsFiles } from '#cli/repo/repo-gc-lfs';
import type { Connection } from '#client/index';
import { Repository } from '#client/repository/repository';
import { lockObject } from '#object-store/file/lock-object';
import { until } from '#testkit/until';
import { collectLfs, type LfsCollection } from '#tools/repo/collect-lfs';
import { LfsSite, pointerText, pointerTo } from './lfs-site.ts';

const DAY_MS = 24 * 3600 * 1000;
const { signal } = new AbortController();

/** Returns the text of a pointer to a file with this content. */
function pointer(content: string): string {
  return pointerText(pointerTo(Buffer.from(content)));
}

/** Returns the contents of the files that the store has. */
function stored({ directory }: LfsSite, contents: readonly string[]): string[] {
  const names = readdirSync(join(directory, 'store'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  return contents.filter((content) => names.includes(pointerTo(Buffer.from(content)).oid));
}

/** Makes all files of the store old. */
function age({ directory }: LfsSite): void {
  for (const entry of readdirSync(join(directory, 'store'), { recursive: true, withFileTypes: true }))
    if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), 0, 0);
}

function collect(site: LfsSite, options: Partial<Parameters<typeof collectLfs>[0]>): Promise<LfsCollection> {
  return collectLfs({
    ...{
      connection: site.gitaly.connection,
      storeUrl: site.storeUrl,
      signal,
      nowMs: Date.now() + 2 * DAY_MS,
    },
    ...{ isDryRun: false, removesOrphans: false, ...options },
  });
}

test('old files are removed, except those that a history names: of forks and tags, too', async () => {
  await using site = await LfsSite.open();
  const { connection } = site.gitaly;
  const a = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const all = ['main', 'history', 'tag', 'long', 'fork', 'gone', 'never'];
  for (const content of all) await site.store(Buffer.from(content));
  const extension = `ext-0-crypt sha256:${'1'.repeat(64)}\next-1-zip sha256:${'2'.repeat(64)}\noid`;
  await a.commit({ files: { history: pointer('history') }, message: 'One' });
  await a.commit({
    files: { history: pointer('main'), long: pointer('long').replace('oid', extension) },
    message: 'Two',
  });
  await a.branch('other', 'main');
  await a.commit({ branch: 'other', files: { tag: pointer('tag') }, message: 'Three' });
  await a.tag('v1', { target: 'other' });
  await a.branch('leaves', 'main');
  await a.commit({ branch: 'leaves', files: { fork: pointer('fork') }, message: 'Four' });
  await new Repository(connection, { path: 'team/a.git' }).fork('team/fork.git');
  await a.commit({ branch: 'gone', files: { gone: pointer('gone') }, message: 'Five' });
  for (const branch of ['leaves', 'gone', 'other']) await a.git(['update-ref', '-d', `refs/heads/${branch}`]);

  assert.equal((await collect(site, { nowMs: Date.now() })).removedFiles, 0, 'they are young');
  const planned = await collect(site, { isDryRun: true });
  assert.deepEqual([planned.removedFiles, stored(site, all)], [2, all]);
  const { files, removedBytes, removedFiles } = await collect(site, {});
  assert.deepEqual([files, removedFiles, removedBytes], [7, 2, 'gone'.length + 'never'.length]);
  assert.deepEqual(stored(site, all), ['main', 'history', 'tag', 'long', 'fork']);
});

test('an old file that an upload or a commit names is young again', async () => {
  await using site = await LfsSite.open();
  const made = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const [uploaded, committed, old] = ['uploaded', 'committed', 'old'].map((text) => Buffer.from(text)) as [
    Buffer,
    Buffer,
    Buffer,
  ]; // as many as texts
  for (const content of [uploaded, committed, old]) await site.store(content);
  age(site);
  const user = { name: 'Ann', email: 'ann@example.com', id: 'username-ann', username: 'ann' };

  assert.deepEqual((await site.batch('upload', [pointerTo(uploaded)])).json.objects, [pointerTo(uploaded)]);
  await site.batch('download', [pointerTo(old)]);
  const repository = new Repository(site.gitaly.connection, { path: 'team/a.git', user });
  const files = { file: pointer('committed') };
  await repository.commit({ branch: 'main', message: 'One', files });
  await made.git(['update-ref', '-d', 'refs/heads/main']);

  assert.equal((await collect(site, { nowMs: Date.now() })).removedFiles, 1);
  assert.deepEqual(stored(site, ['uploaded', 'committed', 'old']), ['uploaded', 'committed']);
});

test('an old file that is named just before it is removed is kept', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  for (const content of ['claimed', 'old']) await site.store(Buffer.from(content));
  age(site);
  const { oid } = pointerTo(Buffer.from('claimed'));
  const [path = ''] = readdirSync(join(site.directory, 'store'), { recursive: true, withFileTypes: true })
    .filter(({ name }) => name === oid)
    .map(({ name, parentPath }) => join(parentPath, name));
  let collecting: Promise<LfsCollection>;
  {
    await using _lock = await lockObject(path, signal);
    collecting = collect(site, {});
    // The store was asked for the times of both.
    await until(() => stored(site, ['old']).length === 0);
    utimesSync(path, new Date(), new Date());
  }

  assert.equal((await collecting).removedFiles, 1);
  assert.deepEqual(stored(site, ['claimed', 'old']), ['claimed']);
});

test('incomplete files that a killed server left are removed', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  await site.store(Buffer.from('content'));
  const [folder = ''] = readdirSync(join(site.directory, 'store'));
  const left = join(site.directory, 'store', folder, 'objects', '.fileblob-0123');
  writeFileSync(left, 'incomplete');
  const lock = join(site.directory, 'store', folder, '.fileblob-lock-0123');
  writeFileSync(lock, '');

  assert.equal((await collect(site, { nowMs: Date.now() })).removedFiles, 0, 'it may be in progress');
  assert.equal((await collect(site, { isDryRun: true, nowMs: Date.now() + 2 * DAY_MS })).removedFiles, 2);
  assert.ok(existsSync(left));
  const { removedBytes, removedFiles } = await collect(site, {});
  assert.deepEqual([removedFiles, removedBytes], [2, 'incomplete'.length + 'content'.length]);
  assert.deepEqual([existsSync(left), existsSync(lock)], [false, true], 'a lock may be held');
});

test('files of removed repositories are kept, unless their removal is wanted', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  await site.store(Buffer.from('content'));
  await site.send('POST', 'locks', { body: JSON.stringify({ path: 'a.psd' }) });
  await new Repository(site.gitaly.connection, { path: 'team/a.git' }).remove();

  const kept = await collect(site, {});
  assert.deepEqual([kept.removedFiles, kept.orphanFiles, kept.orphanBytes], [0, 1, 'content'.length]);
  assert.equal((await collect(site, { removesOrphans: true })).removedFiles, 1);
  assert.deepEqual(stored(site, ['content']), []);
});

/** Returns a connection that does something before its first call of a method of SettingsService. */
function before(site: LfsSite, method: 'get' | 'listLfsFiles', act: () => Promise<unknown>): Connection {
  const { connection } = site.gitaly;
  const { settings } = connection;
  let acted: Promise<unknown> | undefined;
  const wait = (): Promise<unknown> => {
    acted ??= act();
    return acted;
  };
  const replaced = {
    ...settings,
    ...(method === 'get'
      ? { get: (...call: Parameters<typeof settings.get>) => wait().then(() => settings.get(...call)) }
      : {
          listLfsFiles: async function* (...call: Parameters<typeof settings.listLfsFiles>) {
            await wait();
            yield* settings.listLfsFiles(...call);
          },
        }),
  };
  const get = (target: Connection, name: string): unknown =>
    name === 'settings' ? replaced : Reflect.get(target, name, target);
  return new Proxy(connection, { get });
}

/** A site with a file that `main` of team/a.git names, and one that its branch `side` names. */
async function siteWithFiles(): Promise<LfsSite> {
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await LfsSite.open());
  const repository = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  for (const content of ['named', 'side', 'never']) await site.store(Buffer.from(content));
  await repository.commit({ files: { file: pointer('named') }, message: 'One' });
  await repository.branch('side', 'main');
  await repository.commit({ branch: 'side', files: { file: pointer('side') }, message: 'Two' });
  stack.move();
  return site;
}

function rename({ gitaly }: LfsSite, from: string, to: string): Promise<unknown> {
  const repository = { storageName: 'default', relativePath: from };
  return gitaly.connection.repository.renameRepository({ repository, relativePath: to });
}

// A user saw: all old files of a repository were removed, because it was renamed meanwhile.
test('the files of a repository that is renamed after it was listed are kept', async () => {
  await using site = await siteWithFiles();
  const connection = before(site, 'listLfsFiles', () => rename(site, 'team/a.git', 'team/b.git'));

  const { removedFiles, unreadable } = await collect(site, { connection });

  assert.deepEqual([removedFiles, unreadable.length], [0, 1]);
  assert.match(String(unreadable), /^team\/a\.git: /);
  assert.equal((await collect(site, {})).removedFiles, 1);
  assert.deepEqual(stored(site, ['named', 'side', 'never']), ['named', 'side']);
});

test('the files of a repository that is renamed while it is listed are no orphans', async () => {
  await using site = await siteWithFiles();
  const connection = before(site, 'get', () => rename(site, 'team/a.git', 'team/b.git'));

  const { removedFiles } = await collect(site, { connection, removesOrphans: true });

  assert.equal(removedFiles, 1);
  assert.deepEqual(stored(site, ['named', 'side', 'never']), ['named', 'side']);
});

test('the files of a fork that is made after the list of the repositories are kept', async () => {
  await using site = await siteWithFiles();
  const client = new Repository(site.gitaly.connection, { path: 'team/a.git' });
  const connection = before(site, 'listLfsFiles', async () => {
    await client.fork('team/fork.git');
    const source = site.gitaly.openRepository({ storageName: 'default', relativePath: 'team/a.git' });
    await source.git(['update-ref', '-d', 'refs/heads/side']);
  });

  const { removedFiles } = await collect(site, { connection });

  assert.equal(removedFiles, 1);
  assert.deepEqual(stored(site, ['named', 'side', 'never']), ['named', 'side']);
});

test('the files of a repository that cannot be read are kept, and the command fails', async () => {
  await using site = await LfsSite.open();
  const repository = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  await repository.commit({ files: { file: pointer('content') }, message: 'One' });
  await site.store(Buffer.from('content'));
  renameSync(join(repository.path, 'objects'), join(repository.path, 'lost'));
  mkdirSync(join(repository.path, 'objects'));
  age(site);
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];

  const options = { to: site.gitaly.address, storage: 'default', store: site.storeUrl };
  const code = await collectLfsFiles(options, { stdin: process.stdin, stdout, stderr });

  assert.deepEqual([code, stored(site, ['content'])], [1, ['content']]);
  assert.match(String(stderr.read()), /removed 0 of 1 files, 0 B; files are kept.*team\/a\.git/);
});
