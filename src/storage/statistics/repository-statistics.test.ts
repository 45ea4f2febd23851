import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { Repository } from '../repository.ts';
import { directorySizeBytes } from './directory-size.ts';
import { STALE_OBJECT_AGE_MS } from './loose-objects.ts';
import { repositoryStatistics } from './repository-statistics.ts';

const FULL_REPACK = ['-c', 'pack.writeReverseIndex=true', 'repack', '-adq', '--write-bitmap-index'] as const;

function packFiles(repository: Repository, suffix: string): string[] {
  const directory = path.join(repository.path, 'objects/pack');
  return readdirSync(directory).flatMap((name) =>
    name.endsWith(suffix) ? [path.join(directory, name)] : [],
  );
}

/** Returns `git count-objects -v` as numbers by name. */
function countObjects(fixture: StorageFixture, repository: Repository): Record<string, number> {
  const lines = fixture.runGit(repository.path, ['count-objects', '-v']).split('\n');
  return Object.fromEntries(
    lines.map((line) => line.split(': ')).map(([name, count]) => [name, Number(count)]),
  );
}

test('loose objects are counted as git counts them, stale ones and garbage apart', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 3 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const file = path.join(repository.path, 'objects', oid.slice(0, 2), oid.slice(2));
  const oldSeconds = (Date.now() - STALE_OBJECT_AGE_MS) / 1000 - 60;
  utimesSync(file, oldSeconds, oldSeconds);
  writeFileSync(path.join(path.dirname(file), 'tmp_obj_x'), 'garbage');

  const { looseObjects, packfiles } = await repositoryStatistics(repository, fixture.storages);

  assert.equal(looseObjects.count, countObjects(fixture, repository).count);
  assert.equal(looseObjects.staleCount, 1);
  assert.equal(looseObjects.staleSize, BigInt(statSync(file).size));
  assert.equal(looseObjects.garbageCount, 1);
  assert.equal(packfiles.count, 0);
});

test('packs, their bitmap and reverse index are found', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 3 });
  fixture.runGit(repository.path, FULL_REPACK);

  const { looseObjects, packfiles } = await repositoryStatistics(repository, fixture.storages);

  const [pack = ''] = packFiles(repository, '.pack');
  assert.equal(looseObjects.count, 0);
  assert.deepEqual(
    [packfiles.count, packfiles.size, packfiles.keepCount, packfiles.cruftCount],
    [1, BigInt(statSync(pack).size), 0, 0],
  );
  assert.deepEqual(packfiles.bitmap, { version: 1, hasHashCache: true, hasLookupTable: false });
  assert.equal(packfiles.reverseIndexCount, packFiles(repository, '.rev').length);
});

test('a pack of unreachable objects counts as cruft, unless it is kept', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });
  fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'unreachable');
  fixture.runGit(repository.path, ['repack', '--cruft', '-dq']);

  const before = (await repositoryStatistics(repository, fixture.storages)).packfiles;
  const [mtimes = ''] = packFiles(repository, '.mtimes');
  writeFileSync(mtimes.replace('.mtimes', '.keep'), '');
  const after = (await repositoryStatistics(repository, fixture.storages)).packfiles;

  assert.deepEqual([before.count, before.cruftCount, before.keepCount], [2, 1, 0]);
  assert.ok(before.cruftSize > 0n);
  assert.deepEqual(
    [after.count, after.cruftCount, after.keepCount, after.keepSize],
    [2, 0, 1, before.cruftSize],
  );
});

test('a multi-pack-index and its bitmap are understood', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['repack', '-dq']);
  fixture.commit(repository.path, 2);
  fixture.runGit(repository.path, ['repack', '-dq']);
  fixture.runGit(repository.path, ['multi-pack-index', 'write', '--bitmap']);

  const { packfiles } = await repositoryStatistics(repository, fixture.storages);

  assert.deepEqual([packfiles.multiPackIndex?.version, packfiles.multiPackIndex?.packfileCount], [1, 2]);
  assert.equal(packfiles.multiPackIndex?.hasLargeOffsets, false);
  assert.equal(packfiles.multiPackIndexBitmap?.version, 1);
});

for (const [what, args, expected] of [
  ['monolithic', ['--reachable'], { chainLength: 0, hasBloomFilters: false }],
  ['with Bloom filters', ['--reachable', '--changed-paths'], { chainLength: 0, hasBloomFilters: true }],
  ['split', ['--reachable', '--split'], { chainLength: 1, hasBloomFilters: false }],
] as const) {
  test(`a commit-graph that is ${what} is understood`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 3 });

    fixture.runGit(repository.path, ['commit-graph', 'write', ...args]);

    const { commitGraph } = await repositoryStatistics(repository, fixture.storages);
    assert.deepEqual(commitGraph, { ...expected, hasGenerationData: true, hasGenerationDataOverflow: false });
  });
}

test('lines of a chain of commit-graphs that git does not accept stand for no layer', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['commit-graph', 'write', '--reachable', '--split']);
  const chain = path.join(repository.path, 'objects/info/commit-graphs/commit-graph-chain');
  const layer = readFileSync(chain, 'latin1');

  for (const line of ['\0'.repeat(41), 'x'.repeat(300), '../../../HEAD']) {
    writeFileSync(chain, line);
    const { commitGraph } = await repositoryStatistics(repository, fixture.storages);
    assert.deepEqual(commitGraph, {
      chainLength: 1,
      hasBloomFilters: false,
      hasGenerationData: false,
      hasGenerationDataOverflow: false,
    });
  }
  writeFileSync(chain, `${layer}\0\n`);
  const { commitGraph } = await repositoryStatistics(repository, fixture.storages);
  assert.equal(commitGraph?.hasGenerationData, true);
});

test('an index that is damaged is an error that says which', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  mkdirSync(`${repository.path}/objects/info`, { recursive: true });
  mkdirSync(`${repository.path}/objects/pack`, { recursive: true });
  const statistics = () => repositoryStatistics(repository, fixture.storages);

  writeFileSync(`${repository.path}/objects/info/commit-graph`, 'JUNKJUNKJUNK');
  await assert.rejects(
    statistics(),
    /checking commit-graph info: commit graph file ".*" doesn't have signature/,
  );

  writeFileSync(`${repository.path}/objects/info/commit-graph`, 'CG');
  await assert.rejects(statistics(), /header: unexpected EOF/);
  fixture.runGit(repository.path, ['commit-graph', 'write', '--reachable']);

  mkdirSync(`${repository.path}/objects/info/commit-graphs/commit-graph-chain`, { recursive: true });
  await assert.rejects(statistics(), /checking commit-graph info: reading commit-graphs chain: /);
  rmSync(`${repository.path}/objects/info/commit-graphs`, { recursive: true });

  writeFileSync(`${repository.path}/objects/pack/pack-1.bitmap`, 'BITM\0\x02\0\0');
  await assert.rejects(statistics(), /reading bitmap info: unsupported version: 2/);
  writeFileSync(`${repository.path}/objects/pack/pack-1.bitmap`, 'BITM\0\x01\0\x14');

  writeFileSync(`${repository.path}/objects/pack/multi-pack-index`, 'MIDX\x01\x01\0\x01\0\0\0\0');
  await assert.rejects(statistics(), /reading multi-pack-index: unsupported number of base files: 1/);
});

test('references are counted as files', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['tag', 'one', 'main']);
  fixture.runGit(repository.path, ['pack-refs', '--all']);
  fixture.runGit(repository.path, ['tag', 'two', 'main']);
  writeFileSync(`${repository.path}/refs/tags/x.lock`, '');

  const { references, referenceBackend } = await repositoryStatistics(repository, fixture.storages);

  assert.deepEqual(references, {
    looseCount: 2,
    packedSize: statSync(`${repository.path}/packed-refs`).size,
  });
  assert.equal(referenceBackend, 'files');
});

test('a pool counts with its member, and its indexes stand for theirs', async () => {
  await using fixture = await StorageFixture.create();
  const pool = fixture.init('pool.git', { commits: 3 });
  fixture.runGit(pool.path, FULL_REPACK);
  const member = fixture.init('member.git');
  const own = await repositoryStatistics(member, fixture.storages);
  mkdirSync(`${member.path}/objects/info`, { recursive: true });
  writeFileSync(`${member.path}/objects/info/alternates`, '# the pool\n\n../../pool.git/objects\n');

  const joined = await repositoryStatistics(member, fixture.storages);
  const pooled = await repositoryStatistics(pool, fixture.storages);

  const alternatesBytes = BigInt(statSync(`${member.path}/objects/info/alternates`).size);
  assert.deepEqual(joined.alternates?.objectDirectories, ['../../pool.git/objects']);
  assert.equal(joined.sizeBytes, own.sizeBytes + alternatesBytes + pooled.sizeBytes);
  assert.deepEqual(joined.packfiles, pooled.packfiles);
});

test('an alternate that is no repository of the storage is not found', async () => {
  await using fixture = await StorageFixture.create();
  const member = fixture.init('member.git');
  mkdirSync(`${member.path}/objects/info`, { recursive: true });
  writeFileSync(`${member.path}/objects/info/alternates`, '../../gone.git/objects\n');

  await assert.rejects(repositoryStatistics(member, fixture.storages), {
    code: 'NOT_FOUND',
    message: 'deriving pool loose objects info: getting repository path: repository not found',
  });
});

test('large directories count too', async () => {
  await using fixture = await StorageFixture.create();
  const root = `${fixture.root}/large`;
  mkdirSync(root);
  for (let index = 0; index < 3000; index++) writeFileSync(`${root}/${'x'.repeat(100)}${index}`, 'x');
  writeFileSync(`${root}/worktrees`, 'x');

  assert.equal(await directorySizeBytes(root), 3001n);
  assert.equal(await directorySizeBytes(root, { skip: ['worktrees'] }), 3000n);
});

test('the size of a directory is that of its files, links as links', async () => {
  await using fixture = await StorageFixture.create();
  const root = `${fixture.root}/tree`;
  mkdirSync(`${root}/deep/er`, { recursive: true });
  writeFileSync(`${root}/a`, 'x'.repeat(1000));
  writeFileSync(`${root}/deep/er/b`, 'x'.repeat(23));
  writeFileSync(`${root}/worktrees`, 'x'.repeat(50));
  writeFileSync(`${root}/deep/worktrees`, 'x'.repeat(7));
  symlinkSync('a', `${root}/link`);

  assert.equal(await directorySizeBytes(root), 1081n);
  assert.equal(await directorySizeBytes(root, { skip: ['worktrees'] }), 1031n);
  assert.equal(await directorySizeBytes(`${root}/a`), 0n);
  assert.equal(await directorySizeBytes(`${root}/none`), 0n);
});
