import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { RepositoryInfoResponse_ReferencesInfo_ReferenceBackend as Backend } from '#wire/gen/repository_pb';

const repository = { storageName: 'default', relativePath: 'r.git' };
const STALE_SECONDS = Date.now() / 1000 - 11 * 24 * 60 * 60;

test('RepositoryInfo counts what lies in the repository', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'r.git', { commits: 3 });
  const git = (...args: string[]): string => gitOutput(path, args);
  // A pack that is kept, a pack of unreachable objects, and one of the rest.
  git('repack', '-adq');
  const [kept = ''] = packs(path);
  writeFileSync(join(path, 'objects/pack', kept.replace('.pack', '.keep')), '');
  gitOutput(path, ['hash-object', '-w', '--stdin'], 'unreachable');
  addCommit(path, 4);
  git('repack', '-dq', '--cruft', '--cruft-expiration=never');
  const cruft = readdirSync(join(path, 'objects/pack')).filter((name) => name.endsWith('.mtimes'));
  // Two loose objects, of which one is stale, and a file that is no object.
  const blobs = ['young', 'old'].map((text) => gitOutput(path, ['hash-object', '-w', '--stdin'], text));
  const loose = blobs.map((oid) => join(path, 'objects', oid.slice(0, 2), oid.slice(2)));
  utimesSync(loose[1] ?? '', STALE_SECONDS, STALE_SECONDS);
  mkdirSync(join(path, 'objects/17'), { recursive: true });
  writeFileSync(join(path, 'objects/17/tmp_obj_x'), 'garbage');
  git('update-ref', 'refs/heads/loose', 'main');
  git('pack-refs', '--all');
  git('update-ref', 'refs/heads/another', 'main');
  git('commit-graph', 'write', '--reachable', '--changed-paths', '--split');

  const info = await gitaly.connection.repository.repositoryInfo({ repository });

  const counted = Object.fromEntries(
    git('count-objects', '-v')
      .split('\n')
      .map((line) => line.split(': ') as [string, string]),
  );
  const sizeOf = (names: readonly string[]): bigint =>
    BigInt(names.reduce((sum, name) => sum + statSync(join(path, 'objects/pack', name)).size, 0));
  assert.equal(info.references?.looseCount, 1n);
  assert.equal(info.references?.packedSize, BigInt(statSync(join(path, 'packed-refs')).size));
  assert.equal(info.references?.referenceBackend, Backend.FILES);
  assert.equal(info.objects?.packfileCount, BigInt(counted.packs ?? -1));
  assert.equal(info.objects?.looseObjectsCount, BigInt(counted.count ?? -1));
  assert.equal(info.objects?.looseObjectsCount, 2n);
  assert.equal(info.objects?.staleLooseObjectsCount, 1n);
  assert.equal(info.objects?.looseObjectsGarbageCount, 1n);
  assert.equal(info.objects?.cruftCount, BigInt(cruft.length));
  assert.equal(info.objects?.cruftCount, 1n);
  assert.equal(info.objects?.keepCount, 1n);
  assert.equal(info.objects?.keepSize, sizeOf([kept]));
  assert.equal(
    info.objects?.staleSize,
    sizeOf(cruft.map((name) => name.replace('.mtimes', '.pack'))) + BigInt(statSync(loose[1] ?? '').size),
  );
  assert.equal(
    info.objects?.reverseIndexCount,
    BigInt(readdirSync(join(path, 'objects/pack')).filter((name) => name.endsWith('.rev')).length),
  );
  assert.equal(info.objects?.size, (info.objects?.recentSize ?? 0n) + (info.objects?.staleSize ?? 0n));
  const chain = readdirSync(join(path, 'objects/info/commit-graphs')).filter((name) =>
    name.endsWith('.graph'),
  );
  assert.equal(info.commitGraph?.commitGraphChainLength, BigInt(chain.length));
  assert.equal(info.commitGraph?.hasBloomFilters, true);
  assert.equal(info.commitGraph?.hasGenerationData, true);
  assert.equal(info.commitGraph?.hasGenerationDataOverflow, false);
  assert.equal(info.multiPackIndex, undefined);
  assert.equal(info.alternates, undefined);
  assert.equal(info.isObjectPool, false);
});

test('RepositoryInfo describes bitmaps, an index over packs, and a lender', async () => {
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), 'r.git');
  initServed(gitaly, 'lender.git', { commits: 1 });
  initRepository(path, { commits: 3 });
  gitOutput(path, ['repack', '-adq', '--write-bitmap-index']);
  const withBitmap = await gitaly.connection.repository.repositoryInfo({ repository });
  assert.deepEqual(withBitmap.bitmap && { ...withBitmap.bitmap, $typeName: '' }, {
    $typeName: '',
    version: 1n,
    hasHashCache: true,
    hasLookupTable: false,
  });

  gitOutput(path, ['multi-pack-index', 'write', '--bitmap']);
  const info = await gitaly.connection.repository.repositoryInfo({ repository });

  assert.equal(info.multiPackIndex?.packfileCount, BigInt(packs(path).length));
  assert.equal(info.multiPackIndex?.version, 1n);
  assert.equal(info.multiPackIndex?.hasLargeOffsets, false);
  assert.equal(info.multiPackIndexBitmap?.version, 1n);
  assert.equal(info.multiPackIndexBitmap?.hasHashCache, true);

  const alternates = join(path, 'objects/info/alternates');
  writeFileSync(alternates, '../../lender.git/objects\n');
  const borrowing = await gitaly.connection.repository.repositoryInfo({ repository });
  assert.deepEqual(borrowing.alternates?.objectDirectories, ['../../lender.git/objects']);
  // The objects of the lender are counted too: a commit and its tree.
  assert.equal(borrowing.objects?.looseObjectsCount, 2n);
  assert.equal(
    borrowing.alternates?.lastModified?.seconds,
    BigInt(Math.floor(statSync(alternates).mtimeMs / 1000)),
  );
});

function packs(path: string): string[] {
  return readdirSync(join(path, 'objects/pack')).filter((name) => name.endsWith('.pack'));
}
