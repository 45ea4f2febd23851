import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { Housekeeping } from '../housekeeping.ts';
import { MaintenanceRuns } from '../maintenance-runs.ts';
import { collectGarbage, mendKeepAroundReferences } from './collect-garbage.ts';
import { repackAsBefore } from './repack-as-before.ts';
import { repackWithIndex } from './repack-with-index.ts';
import { updateCommitGraph } from './update-commit-graph.ts';

const { signal } = new AbortController();
const housekeeping = new Housekeeping(new MaintenanceRuns());

const packsOf = ({ path }: Repository, suffix = '.pack'): string[] =>
  readdirSync(`${path}/objects/pack`).filter((name) => name.endsWith(suffix));
const graphOf = ({ path }: Repository): string[] => {
  const file = `${path}/objects/info/commit-graphs/commit-graph-chain`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
};
const looseOf = (fixture: StorageFixture, { path }: Repository): string =>
  /^count: (\d+)/m.exec(fixture.runGit(path, ['count-objects', '-v']))?.[1] ?? '';

function addOld(fixture: StorageFixture, { path }: Repository, text: string, minutes: number): string {
  const oid = fixture.runGit(path, ['hash-object', '-w', '--stdin'], text);
  const time = new Date(Date.now() - minutes * 60_000);
  utimesSync(`${path}/objects/${oid.slice(0, 2)}/${oid.slice(2)}`, time, time);
  return oid;
}

function has(fixture: StorageFixture, { path }: Repository, oid: string): boolean {
  const format = '--batch-check=%(objectname)';
  return fixture.runGit(path, ['cat-file', '--batch-all-objects', format]).split('\n').includes(oid);
}

test('a full repack makes one pack, an incremental one adds one; both update the commit-graph', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });

  await repackAsBefore(repository, { kind: 'incremental', writeBitmap: false, signal });
  fixture.commit(repository.path, 3);
  await repackAsBefore(repository, { kind: 'incremental', writeBitmap: false, signal });
  assert.equal(packsOf(repository).length, 2);
  assert.equal(looseOf(fixture, repository), '0');
  assert.ok(graphOf(repository).length > 0);
  fixture.runGit(repository.path, ['commit-graph', 'verify']);

  const lost = fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'lost');
  await repackAsBefore(repository, { kind: 'full', writeBitmap: true, signal });
  assert.equal(packsOf(repository).length, 1);
  assert.equal(packsOf(repository, '.bitmap').length, 1);
  assert.equal(has(fixture, repository, lost), true);
  await repackAsBefore(repository, { kind: 'full', writeBitmap: false, signal });
  assert.equal(packsOf(repository, '.bitmap').length, 0);
});

test('GarbageCollect drops old objects on request, but never those of a pool', async () => {
  for (const [name, prune, isKept] of [
    ['x.git', true, false],
    ['x.git', false, true],
    [`@pools/4e/07/4e07${'0'.repeat(60)}.git`, true, true],
  ] as const) {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init(name, { commits: 2 });
    const old = addOld(fixture, repository, 'old', 31);
    const young = addOld(fixture, repository, 'young', 29);
    writeFileSync(`${repository.path}/HEAD.lock`, '');
    utimesSync(`${repository.path}/HEAD.lock`, 0, 0);
    const onStaleDataLeft = (error: unknown) => assert.fail(String(error));

    await collectGarbage(housekeeping, repository, { writeBitmap: true, prune, onStaleDataLeft, signal });

    assert.equal(has(fixture, repository, old), isKept);
    assert.equal(has(fixture, repository, young), true);
    assert.equal(packsOf(repository, '.bitmap').length, 1);
    assert.equal(graphOf(repository).length, 1);
    assert.equal(existsSync(`${repository.path}/HEAD.lock`), false);
  }
});

test('GarbageCollect goes on if stale data cannot be removed', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['config', 'core.commitgraph', 'true']);
  writeFileSync(`${repository.path}/config.lock`, '');
  const errors: unknown[] = [];
  const onStaleDataLeft = (error: unknown): void => void errors.push(error);

  await collectGarbage(housekeeping, repository, {
    writeBitmap: false,
    prune: false,
    onStaleDataLeft,
    signal,
  });

  assert.match(String(errors), /locking file/);
  assert.equal(packsOf(repository).length, 1);
});

test('references that keep objects are mended, or removed without their object', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const { path } = repository;
  await mendKeepAroundReferences(repository, signal);
  const good = fixture.runGit(path, ['rev-parse', 'main']);
  const tree = fixture.runGit(path, ['rev-parse', 'main^{tree}']);
  const [gone, other] = ['1'.repeat(40), '2'.repeat(40)];
  mkdirSync(`${path}/refs/keep-around/directory`, { recursive: true });
  for (const [name, content] of [
    [good, `${gone}\n`],
    [tree, ''],
    [gone, `${gone}\n`],
    [other, `${good}\n`],
    ['name', `${good}\n`],
    ['damaged', ''],
  ])
    writeFileSync(`${path}/refs/keep-around/${name}`, content ?? '');

  await mendKeepAroundReferences(repository, signal);

  const value = (name: string) => readFileSync(`${path}/refs/keep-around/${name}`, 'utf8');
  assert.equal(value(good), `${good}\n`);
  assert.equal(value(tree), `${tree}\n`);
  assert.equal(existsSync(`${path}/refs/keep-around/${gone}`), false);
  assert.equal(value(other), `${good}\n`);
  assert.deepEqual([value('name'), value('damaged')], [`${good}\n`, '']);
  await assert.rejects(mendKeepAroundReferences(repository, AbortSignal.abort(new Error('enough'))), {
    message: 'enough',
  });
});

/** Returns a repository with a number of packs, of one commit each. */
function withPacks(fixture: StorageFixture, count: number): Repository {
  const repository = fixture.init('x.git');
  for (let number = 1; number <= count; number++) {
    fixture.commit(repository.path, number);
    fixture.runGit(repository.path, ['repack', '-q', '-d']);
  }
  return repository;
}

test('MidxRepack indexes few packs, and combines many', async () => {
  await using fixture = await StorageFixture.create();
  const two = withPacks(fixture, 2);
  const index = `${two.path}/objects/pack/multi-pack-index`;
  await repackWithIndex(two, signal);
  assert.equal(packsOf(two).length, 2);
  assert.equal(existsSync(index), true);

  for (const number of [3, 4, 5]) {
    fixture.commit(two.path, number);
    fixture.runGit(two.path, ['repack', '-q', '-d']);
  }
  // The packs that were combined go at the next run.
  await repackWithIndex(two, signal);
  assert.equal(packsOf(two).length, 6);
  for (let run = 1; run <= 3; run++) await repackWithIndex(two, signal);
  assert.ok(packsOf(two).length < 5, packsOf(two).join());
  fixture.runGit(two.path, ['multi-pack-index', 'verify']);
  fixture.runGit(two.path, ['fsck', '--full']);
});

/** Changes the position of the first object in a multi-pack-index, with the right checksum. */
function damageIndex(file: string): void {
  const index = readFileSync(file);
  const chunk = index.readUInt32BE(index.indexOf('OOFF') + 8); // low half of its offset
  index.writeUInt32BE(index.readUInt32BE(chunk + 4) + 1, chunk + 4);
  const end = index.length - 20;
  createHash('sha1').update(index.subarray(0, end)).digest().copy(index, end);
  rmSync(file);
  writeFileSync(file, index);
}

test('a multi-pack-index that is damaged is written anew', async () => {
  await using fixture = await StorageFixture.create();
  const repository = withPacks(fixture, 2);
  const file = `${repository.path}/objects/pack/multi-pack-index`;
  await repackWithIndex(repository, signal);
  const before = readFileSync(file);
  damageIndex(file);
  assert.throws(() => fixture.runGit(repository.path, ['multi-pack-index', 'verify']));

  await repackWithIndex(repository, signal);

  assert.deepEqual(readFileSync(file), before);
});

test('packs that are damaged are an error of MidxRepack', async () => {
  await using fixture = await StorageFixture.create();
  const repository = withPacks(fixture, 3);
  for (const name of packsOf(repository, '.idx')) truncateSync(`${repository.path}/objects/pack/${name}`, 8);

  await assert.rejects(repackWithIndex(repository, signal), { name: 'GitExitError' });
});

test('a commit-graph without filters is written anew; a complete one gets a layer', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 30 });
  fixture.runGit(repository.path, ['commit-graph', 'write', '--reachable', '--split']);
  const [old] = graphOf(repository);

  await updateCommitGraph(repository, signal);
  const [first, ...others] = graphOf(repository);
  assert.notEqual(first, old);
  assert.deepEqual(others, []);

  fixture.commit(repository.path, 31);
  await updateCommitGraph(repository, signal);
  assert.equal(graphOf(repository)[0], first);
  assert.equal(graphOf(repository).length, 2);
  fixture.runGit(repository.path, ['commit-graph', 'verify']);
});
