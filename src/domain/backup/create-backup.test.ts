import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { MissingObjectError } from '#object-store/store-error';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { readLatestBackupId, writeBackupId } from './backup-ids.ts';
import { type CreateBackupOptions, createBackup } from './create-backup.ts';
import { LocalSource } from './local-source.ts';
import { findLatestManifest, findManifest, isLater, writeManifest } from './manifests.ts';

const { signal } = new AbortController();
const NAME = { storageName: 'group', relativePath: 'name.git' };
const FOLDER = 'group/name.git';

async function start() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const bucket = new MemoryObjectStore();
  const seen: string[] = [];
  let bundleBytes = -1;
  const observer = {
    observePhase: (phase: string, seconds: number) => {
      assert.ok(seconds >= 0 && seconds < 60);
      seen.push(phase);
    },
    observeBundle: (bytes: number) => {
      bundleBytes = bytes;
    },
  };
  const backUp = (id: string, options: Partial<CreateBackupOptions> = {}, open = () => repository) =>
    createBackup(bucket, new LocalSource(open, signal), {
      name: NAME,
      id,
      incremental: false,
      latestId: '',
      observer,
      signal,
      ...options,
    });
  const keys = async () =>
    (await Array.fromAsync(bucket.list(`${FOLDER}/`, { signal })))
      .flat()
      .map(({ key }) => key)
      .sort();
  const sizeOf = async (key: string) =>
    Buffer.concat(await Array.fromAsync(bucket.get(key, { signal }))).length;
  return { fixture, repository, bucket, seen, backUp, keys, sizeOf, bundleBytes: () => bundleBytes };
}

test('the parts of a backup are stored and measured', async () => {
  const { fixture, repository, bucket, seen, backUp, keys, sizeOf, bundleBytes } = await start();
  await using _fixture = fixture;
  mkdirSync(`${repository.path}/custom_hooks`);
  writeFileSync(`${repository.path}/custom_hooks/update`, '');

  await backUp('one');

  assert.deepEqual(seen, ['refs', 'bundle', 'custom_hooks']);
  const parts = ['001.bundle', '001.custom_hooks.tar', '001.refs'].map((part) => `${FOLDER}/one/${part}`);
  assert.deepEqual(await keys(), parts);
  assert.equal(bundleBytes(), await sizeOf(`${FOLDER}/one/001.bundle`));
  assert.deepEqual(await findLatestManifest(bucket, NAME, { signal }), {
    empty: false,
    nonExistent: false,
    objectFormat: 'sha1',
    headReference: 'refs/heads/main',
    steps: [
      {
        bundlePath: `${FOLDER}/one/001.bundle`,
        refPath: `${FOLDER}/one/001.refs`,
        customHooksPath: `${FOLDER}/one/001.custom_hooks.tar`,
      },
    ],
  });
});

test('an empty repository has no bundle, a missing one no files', async () => {
  const { fixture, bucket, seen, backUp, keys } = await start();
  await using _fixture = fixture;
  const empty = fixture.init('empty.git', { objectFormat: 'sha256' });

  await backUp('empty', {}, () => empty);
  assert.deepEqual(await keys(), [`${FOLDER}/empty/001.refs`]);
  assert.deepEqual(seen, ['refs', 'custom_hooks']);
  assert.partialDeepStrictEqual(await findManifest(bucket, NAME, 'empty', { signal }), {
    empty: true,
    nonExistent: false,
    objectFormat: 'sha256',
    headReference: 'refs/heads/main',
  });

  await backUp('none', {}, () => {
    throw new GitalyError('NOT_FOUND', 'no repository');
  });
  assert.partialDeepStrictEqual(await findManifest(bucket, NAME, 'none', { signal }), {
    empty: true,
    nonExistent: true,
    objectFormat: '',
  });
  assert.deepEqual(await keys(), [`${FOLDER}/empty/001.refs`]);

  const refused = backUp('no', {}, () => {
    throw new GitalyError('INVALID_ARGUMENT', 'no storage');
  });
  await assert.rejects(refused, { code: 'INVALID_ARGUMENT', message: 'manager: no storage' });
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`an unchanged ${objectFormat} repository gets the bytes of git's bundle without git`, async () => {
    const { fixture, bucket, keys } = await start();
    await using _fixture = fixture;
    const repository = fixture.init('unchanged.git', { commits: 2, objectFormat });
    const source = new LocalSource(() => repository, signal);
    const options = { name: NAME, incremental: true, latestId: '', signal };
    const observer = { observePhase: () => {}, observeBundle: () => {} };
    await createBackup(bucket, source, { ...options, id: 'one', observer });
    let bundles = 0;
    source.bundle = () => {
      bundles++;
      throw new Error('git was started');
    };

    await createBackup(bucket, source, { ...options, id: 'two', observer });

    assert.equal(bundles, 0);
    const oid = fixture.runGit(repository.path, ['rev-parse', 'HEAD']);
    const flags = ['bundle', 'create', '-', '--all', `^${oid}`];
    const { status, stdout } = spawnSync('git', flags, { cwd: repository.path });
    assert.equal(status, 128, 'git refuses it after the header');
    const stored = await Array.fromAsync(bucket.get(`${FOLDER}/two/002.bundle`, { signal }));
    assert.deepEqual(Buffer.concat(stored), stdout);
    assert.ok((await keys()).includes(`${FOLDER}/two/002.refs`));
  });
}

test('an increment on a backup of a missing repository, or on none, is a full backup', async () => {
  const { fixture, bucket, backUp } = await start();
  await using _fixture = fixture;
  await backUp('first', { incremental: true });
  assert.equal((await findManifest(bucket, NAME, 'first', { signal })).steps.length, 1);
  await backUp('none', {}, () => {
    throw new GitalyError('NOT_FOUND', 'no repository');
  });

  await backUp('next', { incremental: true, latestId: 'none' });

  const { steps } = await findManifest(bucket, NAME, 'next', { signal });
  assert.deepEqual(
    steps.map(({ bundlePath, previousRefPath }) => [bundlePath, previousRefPath]),
    [[`${FOLDER}/next/001.bundle`, undefined]],
  );
});

test('an increment on a backup with the other object format is a full backup', async () => {
  const { fixture, bucket, backUp } = await start();
  await using _fixture = fixture;
  const other = fixture.init('other.git', { commits: 1, objectFormat: 'sha256' });
  await backUp('one');

  await backUp('two', { incremental: true }, () => other);
  await backUp('three', { incremental: true }, () => other);

  for (const [id, prefixes] of [
    ['two', ['two/001']],
    ['three', ['two/001', 'three/002']],
  ] as const) {
    const { steps } = await findManifest(bucket, NAME, id, { signal });
    const names = prefixes.map((prefix) => `${FOLDER}/${prefix}.refs`);
    assert.deepEqual(
      steps.map(({ refPath }) => refPath),
      names,
    );
  }
});

test('an increment without anything new has the header of a bundle', async () => {
  const { fixture, bucket, backUp } = await start();
  await using _fixture = fixture;
  await backUp('one');

  await backUp('two', { incremental: true });

  const { steps } = await findManifest(bucket, NAME, 'two', { signal });
  assert.equal(steps.at(-1)?.previousRefPath, `${FOLDER}/one/001.refs`);
  const bundle = Buffer.concat(await Array.fromAsync(bucket.get(`${FOLDER}/two/002.bundle`, { signal })));
  // What git writes to its output before it refuses.
  assert.equal(bundle.toString('latin1'), '# v2 git bundle\n\n');
});

test('HEAD that is detached has no reference in the manifest', async () => {
  const { fixture, repository, bucket, backUp } = await start();
  await using _fixture = fixture;
  fixture.runGit(repository.path, ['update-ref', '--no-deref', 'HEAD', 'main']);

  await backUp('one');

  assert.equal((await findManifest(bucket, NAME, 'one', { signal })).headReference, '');
});

test('a damaged manifest, or damaged objects, end a backup', async () => {
  const { fixture, repository, bucket, backUp } = await start();
  await using _fixture = fixture;
  await backUp('one');
  await bucket.put(`manifests/${FOLDER}/bad.toml`, contentOf('no TOML'), { signal });
  await assert.rejects(backUp('two', { incremental: true, latestId: 'bad' }), {
    message: /^manager: manifest: begin incremental: manifest: find: read manifest: /,
  });
  await bucket.put(`manifests/${FOLDER}/zz.toml`, contentOf('no TOML'), { signal });
  await bucket.put(`manifests/${FOLDER}/+latest.toml`, contentOf('no TOML'), { signal });
  await assert.rejects(backUp('two', { incremental: true }), {
    message: /^manager: manifest: begin incremental: manifest: find latest: /,
  });

  const main = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const tree = fixture.runGit(repository.path, ['rev-parse', 'main^{tree}']);
  for (const oid of [main, tree])
    truncateSync(`${repository.path}/objects/${oid.slice(0, 2)}/${oid.slice(2)}`);
  await assert.rejects(backUp('three'), { message: /^manager: write bundle: / });
});

async function* contentOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

test('the newest manifest is the last one in the folder of the repository itself', async () => {
  const bucket = new MemoryObjectStore();
  const manifest = { empty: true, nonExistent: true, objectFormat: '', headReference: '', steps: [] };
  await assert.rejects(findLatestManifest(bucket, NAME, { signal }), {
    message: "manifest: find latest: doesn't exist",
  });
  await writeManifest(bucket, { ...NAME, relativePath: 'name.git/inner' }, 'inner', manifest, { signal });
  await bucket.put(`manifests/${FOLDER}/zz.txt`, contentOf('no manifest'), { signal });
  await assert.rejects(findLatestManifest(bucket, NAME, { signal }), { message: /doesn't exist$/ });

  await writeManifest(bucket, NAME, 'one', manifest, { signal });

  assert.deepEqual(await findLatestManifest(bucket, NAME, { signal }), manifest);
});

test('the later of two objects is the younger one, then the one with the greater name', () => {
  const at = (modifiedMs: number, key: string) => ({ modifiedMs, key });
  assert.equal(isLater(at(1, 'a'), undefined), true);
  assert.equal(isLater(at(2, 'a'), at(1, 'b')), true);
  assert.equal(isLater(at(1, 'b'), at(2, 'a')), false);
  assert.equal(isLater(at(1, 'b'), at(1, 'a')), true);
  assert.equal(isLater(at(1, 'a'), at(1, 'b')), false);
  assert.equal(isLater(at(1, 'a'), at(1, 'a')), false);
});

test('the id of the last backup is found', async () => {
  const bucket = new MemoryObjectStore();
  await assert.rejects(readLatestBackupId(bucket, { signal }), MissingObjectError);

  for (const id of ['20260101', '20260102']) await writeBackupId(bucket, id, { signal });

  assert.equal(await readLatestBackupId(bucket, { signal }), '20260102');
});
