import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { stampOfSettings } from '../capture/capture-settings.ts';
import { Archiver } from './archiver.ts';
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
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, name)).href, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start({ predecessorEnded: true });
  const fixture = stack.use(await StorageFixture.create());
  const repository = fixture.init(PATH);
  const repositories = new OpenRepositories({ bucket, writer });
  const journal = { id: 'journal', last: 1 };
  const archiver = new Archiver({
    storages: fixture.storages,
    storageName: 'default',
    repositories,
    journalId: () => journal.id,
    now: () => ({ sequence: journal.last, timeMs: Date.now() }),
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
  const changed = async (sequence: number, changes: Record<string, string>): Promise<void> => {
    journal.last = Math.max(journal.last, sequence);
    await archiver.changed(PATH, new Map(Object.entries(changes)), { sequence, timeMs: Date.now() });
  };
  const kept = stack.move();
  return { archiver, changed, commit, head, repository, [Symbol.asyncDispose]: () => kept.disposeAsync() };
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

test('settings are read once their files have changed, and not before', async () => {
  await using started = await startArchiver('settings');
  const { archiver, head, repository } = started;
  const description = async () => (await head()).state.settings.get('description');
  const before = await description();
  writeFileSync(join(repository.path, 'description'), 'another one');
  const { archived } = await head();
  const archivedStamp = archived.settingsStamp;

  archived.settingsStamp = await stampOfSettings(repository);
  await archiver.settings(PATH);
  assert.equal(await description(), before);
  archived.settingsStamp = archivedStamp;
  await archiver.settings(PATH);
  assert.equal(await description(), '=another one');
  assert.equal(archived.settingsStamp, await stampOfSettings(repository));
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
