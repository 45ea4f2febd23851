import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { RepositoryEvent } from '#events/event';
import { pastState } from '#generations/chain/past-state';
import { archiveRoot } from '#storage/storage-layout';
import { initRepository } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { stampOfSettings } from '../capture/capture-settings.ts';
import { Archiver } from './archiver.ts';
import { LeftPaths } from './left-paths.ts';
import { OpenRepositories } from './open-repositories.ts';

const directory = makeScratchDirectory('archiver');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();
const PATH = 'a.git';
const MAIN = 'refs/heads/main';
const retention = { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 };

/** An archiver of a storage with one repository, which is archived. */
async function startArchiver(name: string) {
  await using stack = new AsyncDisposableStack();
  const requests: string[] = [];
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, name)).href, {
    signal,
    observer: {
      ended: (_kind, operation) => requests.push(operation),
      bytes: () => {},
      retried: () => {},
    },
  });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const fixture = stack.use(await StorageFixture.create());
  const repository = fixture.init(PATH);
  mkdirSync(archiveRoot(fixture.storage), { recursive: true });
  const repositories = new OpenRepositories({ bucket, writer });
  const events: RepositoryEvent[] = [];
  const journal = {
    id: 'journal',
    last: 1,
    async *read(from: number) {
      yield events.filter(({ sequence }) => sequence > from);
    },
  };
  /** Adds an event to the journal, which is archived later. */
  const add = (event: Pick<RepositoryEvent, 'kind' | 'sequence'> & Partial<RepositoryEvent>): void => {
    events.push({ relativePath: PATH, timeMs: Date.now(), ...event });
    journal.last = event.sequence;
  };
  const archiver = new Archiver({
    storages: fixture.storages,
    storageName: 'default',
    repositories,
    journalId: () => journal.id,
    now: () => ({ sequence: journal.last, timeMs: Date.now() }),
    left: new LeftPaths({ journal, archived: () => 0 }),
    lfs: undefined,
    retention,
    signal,
  });
  const git = (args: readonly string[], input?: string): string =>
    fixture.runGit(repository.path, args, input);
  const blob = (content: string): string => git(['hash-object', '-w', '--stdin'], content);
  const commit = (content: string): string =>
    git(['commit-tree', '-m', content, git(['mktree'], `100644 blob ${blob(content)}\tfile\n`)]);
  await archiver.compare(PATH, { sequence: 1, timeMs: Date.now() });
  const head = async () => {
    const archived = await repositories.get(PATH);
    if (archived === undefined) throw new Error('the repository is not archived');
    return { archived, state: await archived.head() };
  };
  /** Archives an event of the journal. */
  const changed = async (sequence: number, changes: Record<string, string | undefined>): Promise<void> => {
    journal.last = Math.max(journal.last, sequence);
    await archiver.changed(PATH, new Map(Object.entries(changes)), { sequence, timeMs: Date.now() });
  };
  const kept = stack.move();
  const { storage } = fixture;
  return {
    add,
    archiver,
    bucket,
    fixture,
    changed,
    commit,
    head,
    repository,
    repositories,
    requests,
    storage,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

test('an event that is read again changes nothing, although its value was replaced since', async () => {
  await using started = await startArchiver('again');
  const { archiver, changed, commit, head } = started;
  const [first, second] = [commit('first'), commit('second')];
  await changed(2, { [MAIN]: first });
  await changed(3, { [MAIN]: second });
  const { n } = (await head()).state;

  await changed(2, { [MAIN]: first });
  await archiver.created(PATH, { sequence: 3, timeMs: Date.now() });
  await archiver.removed(PATH, { sequence: 3, timeMs: Date.now() });

  const { state } = await head();
  assert.deepEqual([state.n, state.references.get(MAIN)], [n, second]);
  await changed(4, { [MAIN]: first });
  assert.equal((await head()).state.references.get(MAIN), first);
});

test('a first comparison takes four requests, and leaves nothing in memory', async () => {
  await using started = await startArchiver('first');
  const { archiver, fixture, repositories, requests } = started;
  const path = join(fixture.storage.path, 'new.git');
  initRepository(path, { commits: 1 });
  requests.length = 0;

  const at = { sequence: 1, timeMs: Date.now() };

  await archiver.compareIdle('new.git', at);
  await archiver.compareIdle(PATH, at);

  assert.deepEqual(requests, ['get', 'put', 'put', 'put']);
  assert.deepEqual([repositories.isOpen('new.git'), repositories.isOpen(PATH)], [false, true]);
  rmSync(path, { recursive: true });
  const target = { storageName: 'default', relativePath: 'new.git' };
  assert.equal(fixture.storages.changeSince(target, 0), undefined);
});

test('settings are read once their files have changed, and not before', async () => {
  await using started = await startArchiver('settings');
  const { archiver, head, repository } = started;
  const description = async () => (await head()).state.settings.get('description');
  const before = await description();
  writeFileSync(join(repository.path, 'description'), 'another one');
  const { archived } = await head();
  const archivedStamp = archived.settingsStamp;
  const at = { sequence: 1, timeMs: Date.now() };

  archived.settingsStamp = await stampOfSettings(repository);
  await archiver.settings(PATH, at);
  assert.equal(await description(), before);
  archived.settingsStamp = archivedStamp;
  await archiver.settings(PATH, at);
  assert.equal(await description(), '=another one');
  assert.equal(archived.settingsStamp, await stampOfSettings(repository));
});

test('hooks are archived with the settings that change, and only once', async () => {
  await using started = await startArchiver('hooks');
  const { archiver, head, repository } = started;
  const hooks = join(repository.path, 'custom_hooks');
  const archive = async (description: string): Promise<string | undefined> => {
    writeFileSync(join(repository.path, 'description'), description);
    await archiver.settings(PATH, { sequence: 1, timeMs: Date.now() });
    return (await head()).state.settings.get('hooks');
  };
  const setHook = (script: string): void =>
    writeFileSync(join(hooks, 'update'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  mkdirSync(hooks);
  setHook('exit 0');
  const first = await archive('one');
  assert.ok(first, 'they are archived');

  assert.equal(await archive('two'), first, 'they are not uploaded again');
  setHook('exit 1');
  const second = await archive('two');
  assert.ok(second !== '' && second !== first);
  rmSync(hooks, { recursive: true });

  assert.equal((await archive('three')) ?? '', '', 'they were removed');
});

test('a new reference to an archived commit brings no objects', async () => {
  await using started = await startArchiver('objects');
  const { changed, commit, head } = started;
  const [main, other] = [commit('main'), commit('other')];
  await changed(2, { [MAIN]: main, 'refs/heads/other': other });
  const { inline, packs } = (await head()).state;
  const before = [inline.size, packs.size];
  assert.deepEqual(before, [1, 0]);

  await changed(3, { 'refs/heads/third': other });

  const { state } = await head();
  assert.equal(state.references.get('refs/heads/third'), other);
  assert.deepEqual([state.inline.size, state.packs.size], before);
});

test('a repository stays in the archive while its disk is gone', async () => {
  await using started = await startArchiver('unmounted');
  const { archiver, changed, commit, head, storage } = started;
  await changed(2, { [MAIN]: commit('first') });
  const before = (await head()).state.n;
  const at = { sequence: 3, timeMs: Date.now() };
  const mounted = `${storage.path}-mounted`;
  renameSync(storage.path, mounted);
  const isUnknown = { code: 'NOT_FOUND' };

  await assert.rejects(archiver.missing(PATH, at), isUnknown);
  mkdirSync(storage.path); // an empty mount point
  await assert.rejects(archiver.missing(PATH, at), isUnknown);
  await assert.rejects(archiver.compare(PATH, at), isUnknown);
  await assert.rejects(changed(3, { [MAIN]: undefined }), isUnknown);
  rmdirSync(storage.path);
  renameSync(mounted, storage.path);

  assert.equal((await head()).state.n, before);
});

test('only what is missing after a gap ends: a comparison leaves it to the event', async () => {
  await using started = await startArchiver('removed');
  const { archiver, head, repositories, repository } = started;
  const at = { sequence: 2, timeMs: Date.now() };
  rmSync(repository.path, { recursive: true });

  await archiver.compare(PATH, at);
  assert.equal((await head()).state.exists, true);
  await archiver.missing(PATH, at);

  assert.equal(await repositories.get(PATH), undefined);
});

test('what was archived of a repository without getting a name is not that of the next one', async () => {
  await using started = await startArchiver('unnamed');
  const { add, archiver, fixture, repositories } = started;
  const path = 'b.git';
  const repository = fixture.init(path, { commits: 1 });
  const former = await repositories.create(path, Date.now());
  const changes = new Map([['refs/heads/former', fixture.runGit(repository.path, ['rev-parse', 'main'])]]);
  await former.publish({ repository, changes, settings: {}, timeMs: Date.now(), signal });
  add({ sequence: 2, kind: 'created', relativePath: path });

  await archiver.created(path, { sequence: 2, timeMs: Date.now() });

  const head = await (await repositories.get(path))?.head();
  assert.deepEqual([...(head?.references.keys() ?? [])].sort(), ['HEAD', MAIN]);
});

test('a lender that several repositories wait for is archived once', async () => {
  await using started = await startArchiver('lenders');
  const { archiver, bucket, fixture } = started;
  const pool = fixture.init('pool.git');
  const members = ['one.git', 'two.git', 'three.git'];
  for (const name of members) {
    const { path } = fixture.init(name);
    writeFileSync(join(path, 'objects/info/alternates'), `${pool.path}/objects\n`);
  }
  const at = { sequence: 2, timeMs: Date.now() };

  await Promise.all(members.map((name) => archiver.compare(name, at)));

  const ids = new Set<string>();
  for await (const page of bucket.environment.bucket.list('r/'))
    for (const { key } of page) ids.add(key.split('/')[1] ?? '');
  assert.equal(ids.size, [PATH, 'pool.git', ...members].length);
});

test('settings that cannot be read are a problem of the repository', async () => {
  await using started = await startArchiver('unreadable');
  const { archiver, repository } = started;
  mkdirSync(join(repository.path, 'info/attributes'), { recursive: true });

  await assert.rejects(archiver.compare(PATH, { sequence: 2, timeMs: Date.now() }), {
    name: 'GitalyError',
    message: /^settings cannot be read: EISDIR/,
  });
});

// A repository that was restored to the last state before its removal had that of its successor.
test('a repository that is on the disk in place of another is not archived as that one', async () => {
  await using started = await startArchiver('replaced');
  const { add, archiver, bucket, changed, commit, fixture, head, repository } = started;
  const first = commit('first');
  await changed(2, { [MAIN]: first });
  const { archived } = await head();
  const gone = 'a'.repeat(40);
  add({ kind: 'reference', sequence: 3, reference: MAIN, newValue: gone });
  add({ kind: 'removed', sequence: 4 });
  rmSync(repository.path, { recursive: true });
  fixture.init(PATH);
  const successor = commit('successor');
  fixture.runGit(repository.path, ['update-ref', MAIN, successor]);
  writeFileSync(join(repository.path, 'description'), 'successor');
  add({ kind: 'created', sequence: 5 });
  const now = { sequence: 5, timeMs: Date.now(), after: 2 };

  await changed(3, { [MAIN]: gone });
  await archiver.settings(PATH, now);
  assert.equal(await archiver.compare(PATH, now), false);
  await archiver.removed(PATH, { sequence: 4, timeMs: Date.now() });
  await archiver.created(PATH, { sequence: 5, timeMs: Date.now() });
  assert.equal(await archiver.compare(PATH, { ...now, after: 5 }), true);

  const { chain } = archived.owned.options;
  const { n } = (await chain.follow()).state;
  const last = await pastState(chain, { generation: n - 1 });
  assert.equal(last?.references.get(MAIN), first);
  assert.notEqual(last?.settings.get('description'), '=successor');
  const next = await head();
  assert.notEqual(next.archived.id, archived.id);
  assert.equal(next.state.references.get(MAIN), successor);
  assert.equal(await bucket.paths.resolve(PATH), next.archived.id);
});

// Symptom: hooks and settings of the repository that followed at a path were archived as its own.
test('a repair reads nothing of another repository that is on the disk by now', async () => {
  await using started = await startArchiver('repaired');
  const { add, archiver, fixture, head, repository } = started;
  mkdirSync(join(repository.path, 'custom_hooks'));
  writeFileSync(join(repository.path, 'custom_hooks/update'), '#!/bin/sh\n', { mode: 0o755 });
  await archiver.compare(PATH, { sequence: 1, timeMs: Date.now() });
  const { n, settings } = (await head()).state;
  add({ kind: 'removed', sequence: 2 });
  rmSync(repository.path, { recursive: true });
  fixture.init(PATH);
  writeFileSync(join(repository.path, 'description'), 'successor');
  add({ kind: 'created', sequence: 3 });
  const damage = { packs: [settings.get('hooks') ?? ''], isOfChain: false, lenders: [] };

  const from = { sequence: 3, timeMs: Date.now(), after: 1 };
  assert.equal(await archiver.repair(PATH, damage, from), false);

  assert.equal((await head()).state.n, n);
});
