import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { PoolMetadataStore, type StoredMember } from './pool-metadata-store.ts';

const directory = makeScratchDirectory('pools');
after(() => rmSync(directory, { recursive: true }));
let count = 0;
const newFile = (): string => join(directory, `${count++}.sqlite`);

/** Returns rows as another program reads them. */
function rows(file: string, query: string): unknown[] {
  const database = new DatabaseSync(file);
  try {
    return database
      .prepare(query)
      .all()
      .map((row) => Object.values(row).join(' '));
  } finally {
    database.close();
  }
}

const MEMBERS = 'SELECT member_disk_path, pool_disk_path, is_upstream FROM pool_members ORDER BY 1';

function member(relativePath: string, poolPath: string, isUpstream = false): StoredMember {
  return { relativePath, poolPath, isUpstream };
}

async function poolsOf(store: PoolMetadataStore, storage: string): Promise<string[]> {
  return await Array.fromAsync(store.pools(storage));
}

test('the file has the schema of 19.0, made once', async () => {
  const file = newFile();
  for (const _ of [1, 2]) {
    using store = await PoolMetadataStore.open(file);
    assert.deepEqual(await poolsOf(store, 'default'), []);
  }

  assert.deepEqual(rows(file, 'SELECT id FROM schema_migrations ORDER BY id'), [
    '20260211151213_initial_schema',
    '20260415000000_broken_pools',
  ]);
  assert.deepEqual(rows(file, 'PRAGMA journal_mode'), ['wal']);
});

test('a file that is no database is an error that says so', async () => {
  await assert.rejects(
    PoolMetadataStore.open(directory),
    /^\w*Error: (?:open sqlite database: )?unable to open/,
  );
  const open = readdirSync('/proc/self/fd').length;
  await assert.rejects(PoolMetadataStore.open(process.execPath), /open sqlite database: /);
  assert.equal(readdirSync('/proc/self/fd').length, open);
});

test('what is known of a storage is replaced, that of others stays', async () => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);
  await store.replace('default', [member('a', 'p'), member('b', 'p', true), member('c', 'q')]);
  await store.replace('other', [member('d', 'r')]);
  assert.deepEqual(rows(file, MEMBERS), ['a p 0', 'b p 1', 'c q 0', 'd r 0']);

  await store.replace('default', [member('a', 'o')]);

  assert.deepEqual(rows(file, MEMBERS), ['a o 0', 'd r 0']);
  assert.deepEqual([await poolsOf(store, 'default'), await poolsOf(store, 'other')], [['o'], ['r']]);
  assert.match(String(rows(file, 'SELECT last_scanned FROM pools')[0]), /^\d{4}-\d\d-\d\d [\d:.]+\+00:00$/);
});

test('of two upstreams of a pool the last one counts', async () => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);

  await store.replace('default', [member('a', 'p', true), member('b', 'p', true)]);

  assert.deepEqual(rows(file, MEMBERS), ['a p 0', 'b p 1']);
});

test('either all members are stored or none', async () => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);
  await store.replace('default', [member('a', 'p')]);

  await assert.rejects(store.replace('default', [member('b', 'q'), member('b', 'q')]), /UNIQUE/);

  assert.deepEqual(rows(file, MEMBERS), ['a p 0']);
  // A failed write does not delay the next one.
  await store.replace('default', []);
  assert.deepEqual(rows(file, MEMBERS), []);
});

test('writes come one after the other, and a list waits for them', async () => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);
  const first = store.replace(
    'default',
    Array.from({ length: 100 }, (_, index) => member(`a${index}`, 'p')),
  );
  const second = store.replace('default', [member('b', 'q')]);
  // The first one has started, and is not at its end.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();

  assert.deepEqual(await poolsOf(store, 'default'), ['q']);

  await Promise.all([first, second]);
  assert.deepEqual(rows(file, MEMBERS), ['b q 0']);
});

test('other work continues while many members are stored', async () => {
  using store = await PoolMetadataStore.open(newFile());
  const members = Array.from({ length: 20_000 }, (_, index) => member(`m${index}`, `p${index}`));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);

  await store.replace('default', members);

  clearInterval(timer);
  assert.ok(turns > 0);
});

test('pools are listed in byte order, in pages', async () => {
  using store = await PoolMetadataStore.open(newFile());
  const names = Array.from({ length: 2_000 }, (_, index) => `p${String(index).padStart(4, '0')}`);

  await store.replace(
    'default',
    names.toReversed().map((name) => member(`member of ${name}`, name)),
  );

  assert.deepEqual(await poolsOf(store, 'default'), names);
});

test('the last known missing pool of a repository is noted', async () => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);

  await store.noteBroken('default', 'a', 'p');
  await store.noteBroken('other', 'a', 'p');
  await store.noteBroken('default', 'a', 'q');

  const query = 'SELECT storage, pool_member, pool FROM broken_pools ORDER BY storage';
  assert.deepEqual(rows(file, query), ['default a q', 'other a p']);
});

test('a write waits while another program writes', async () => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);
  const other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');

  const written = store.noteBroken('default', 'a', 'p');
  setTimeout(() => other.exec('COMMIT'), 30); // the write has to wait for it
  await written;

  other.close();
  assert.deepEqual(rows(file, 'SELECT pool FROM broken_pools'), ['p']);
});

test('a program that writes for more than five seconds is an error', async (context) => {
  const file = newFile();
  using store = await PoolMetadataStore.open(file);
  const other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');
  const now = performance.now.bind(performance);
  let ahead = 0;
  context.mock.method(performance, 'now', () => now() + ahead);

  const written = store.noteBroken('default', 'a', 'p');
  written.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 5)); // it has tried once
  ahead = 5_001;

  await assert.rejects(written, /database is locked/);
  other.close();
});
