import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { NewTreeEntry } from './format-tree.ts';
import { ObjectWriter } from './write-objects.ts';

const FORMATS = ['sha1', 'sha256'] as const;

async function writeOne(
  repository: Repository,
  type: 'blob' | 'commit' | 'tag',
  data: Buffer,
): Promise<string> {
  await using writer = new ObjectWriter(repository, repository.objectFormat);
  const oid = await writer.write(type, data);
  await writer.finish();
  return oid;
}

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(directory.length + 1));
}

for (const objectFormat of FORMATS) {
  test(`blobs of a ${objectFormat} repository are those of git hash-object`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    const written = new Map<string, Buffer>();

    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
        const data = Buffer.from(bytes);
        written.set(await writeOne(repository, 'blob', data), data);
      }),
      { numRuns: 30 },
    );
    const large = randomBytes(2 * 1024 * 1024 + 1);
    written.set(await writeOne(repository, 'blob', large), large);

    for (const [oid, data] of written)
      assert.equal(oid, gitOutput(repository.path, ['hash-object', '--stdin'], data));
    assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling']), '');
  });

  test(`trees of a ${objectFormat} repository are those of git mktree, in any order of entries`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    const blob = fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'x');
    const empty = fixture.runGit(repository.path, ['mktree'], '');
    const short = fc.stringMatching(/^[a-c.\- é]{1,4}$/).filter((text) => text !== '.' && text !== '..');
    const name = fc.tuple(fc.constantFrom('', '', 'long'.repeat(20)), short).map((parts) => parts.join(''));
    const kind = fc.constantFrom<[number, string]>(
      [0o100644, blob],
      [0o100755, blob],
      [0o120000, blob],
      [0o040000, empty],
    );
    const entries = fc.uniqueArray(fc.tuple(name, kind), { selector: ([text]) => text, maxLength: 20 });

    await fc.assert(
      fc.asyncProperty(entries, async (list) => {
        const tree: NewTreeEntry[] = list.map(([text, [mode, oid]]) => ({
          mode,
          name: Buffer.from(text),
          oid,
        }));
        const lines = list.map(([text, [mode, oid]]) => {
          return (
            `${mode.toString(8).padStart(6, '0')} ${mode === 0o040000 ? 'tree' : 'blob'} ` +
            `${oid}\t${text}\0`
          );
        });
        await using writer = new ObjectWriter(repository, objectFormat);
        const oid = await writer.writeTree(tree);
        await writer.finish();

        assert.equal(oid, fixture.runGit(repository.path, ['mktree', '-z'], lines.join('')));
      }),
      { numRuns: 40 },
    );
    assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling']), '');
  });

  test(`many objects become one pack in a ${objectFormat} repository`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    await using writer = new ObjectWriter(repository, objectFormat);
    const oids: string[] = [];
    for (let number = 0; number < 1000; number++)
      oids.push(await writer.write('blob', Buffer.alloc(number * 7, `${number},`)));
    oids.push(await writer.write('blob', Buffer.alloc(0)));

    await writer.finish();

    const listed = fixture
      .runGit(repository.path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])
      .split('\n');
    assert.deepEqual(listed.toSorted(), [...new Set(oids)].toSorted());
    assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling', '--full']), '');
    assert.equal(files(`${repository.path}/objects/pack`).length, 2);
    assert.ok(files(`${repository.path}/objects`).length <= 102);
  });

  test(`a blob that comes in pieces is that of git hash-object in a ${objectFormat} repository`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    const pieces = Array.from({ length: 40 }, () => randomBytes(100_000).toString('base64'));

    await using writer = new ObjectWriter(repository, objectFormat);
    const oid = await writer.writeBlob(toBytes(pieces));
    await writer.finish();

    assert.equal(oid, fixture.runGit(repository.path, ['hash-object', '--stdin'], pieces.join('')));
    assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling']), '');
    assert.equal(files(`${repository.path}/objects`).length, 1);
  });
}

async function* toBytes(pieces: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}

test('a source that fails in the middle of a big blob leaves nothing', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  async function* failing(): AsyncGenerator<Uint8Array> {
    for (let count = 0; count < 30; count++) yield Buffer.alloc(100_000);
    throw new Error('the client left');
  }

  {
    await using writer = new ObjectWriter(repository, 'sha1');
    await assert.rejects(writer.writeBlob(failing()), { message: 'the client left' });
  }

  assert.deepEqual(files(`${repository.path}/objects`), []);
});

test('an object that is there already is not written again, but gets a new date', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const oid = await writeOne(repository, 'blob', Buffer.from('x'));
  const path = `${repository.path}/objects/${oid.slice(0, 2)}/${oid.slice(2)}`;
  const { ino } = statSync(path);
  utimesSync(path, 1, 1);

  await writeOne(repository, 'blob', Buffer.from('x'));

  const after = statSync(path);
  assert.equal(after.ino, ino);
  assert.ok(after.mtimeMs > Date.now() - 60_000);
  assert.equal(after.mode & 0o777, 0o444);
});

for (const objectFormat of FORMATS) {
  // Rails' push checks treat all objects in a quarantine as new.
  test(`a ${objectFormat} object that is packed, or in an alternate, is not written again`, async () => {
    await using fixture = await StorageFixture.create();
    const pool = fixture.init('pool.git', { objectFormat });
    const repository = fixture.init('x.git', { objectFormat });
    writeFileSync(`${repository.path}/objects/info/alternates`, '# pool\n../../pool.git/objects\n');
    const texts = Array.from({ length: 3000 }, (_, index) => `packed ${index}`);
    const blobs = texts.map((text) => `blob\ndata ${text.length}\n${text}\n`).join('');
    gitOutput(repository.path, ['-c', 'fastimport.unpackLimit=1', 'fast-import', '--quiet'], blobs);
    const [packed] = files(`${repository.path}/objects/pack`).filter((name) => name.endsWith('.pack'));
    const packPath = `${repository.path}/objects/pack/${packed}`;
    utimesSync(packPath, 1, 1);
    const inPool = await writeOne(pool, 'blob', Buffer.from('in the pool'));
    const big = Buffer.alloc(3_000_000, 'big');
    gitOutput(pool.path, ['hash-object', '-w', '--stdin'], big);
    const before = files(`${repository.path}/objects`);

    await using quarantine = await Quarantine.create(repository);
    await using writer = new ObjectWriter(quarantine.repository, objectFormat);
    for (const text of texts) await writer.write('blob', Buffer.from(text));
    assert.equal(await writer.write('blob', Buffer.from('in the pool')), inPool);
    await writer.writeBlob(toBytes([big.toString()]));
    const fresh = await writer.write('blob', Buffer.from('new'));
    await writer.finish();

    assert.deepEqual(files(quarantine.repository.objectDirectory), [
      `${fresh.slice(0, 2)}/${fresh.slice(2)}`,
    ]);
    assert.deepEqual(files(`${repository.path}/objects`), before);
    assert.ok(statSync(packPath).mtimeMs > Date.now() - 60_000);
  });
}

test('trees and commits that fill up to two blocks of a disk are read by git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const { path } = repository;
  const blob = await writeOne(repository, 'blob', Buffer.from('x'));
  await using writer = new ObjectWriter(repository, 'sha1');
  const trees: string[] = [];
  for (const count of [1, 100, 110, 115, 120, 250]) {
    const names = Array.from({ length: count }, (_, index) => Buffer.from(`file-${index}`));
    trees.push(await writer.writeTree(names.map((name) => ({ mode: 0o100644, name, oid: blob }))));
  }
  await writer.finish();
  const [tree = ''] = trees;
  const message = 'message\n'.repeat(400);
  const people = 'author A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n';
  const commit = await writeOne(repository, 'commit', Buffer.from(`tree ${tree}\n${people}\n${message}`));

  assert.equal(fixture.runGit(path, ['fsck', '--strict', '--no-dangling']), '');
  assert.equal(fixture.runGit(path, ['ls-tree', trees.at(-1) ?? '']).split('\n').length, 250);
  for (const oid of [...trees, commit]) {
    const size = Number(fixture.runGit(path, ['cat-file', '-s', oid]));
    assert.equal((await repository.objects.readObject(oid))?.data.length, size);
  }
});

test('an object that was in memory is known when it is in the repository', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const known = await writeOne(repository, 'blob', Buffer.from('x'));
  const read = async (oid: string) => (await repository.objects.readObject(oid))?.data.toString();
  assert.equal(await read(known), 'x');
  await using quarantine = await Quarantine.create(repository);
  await using writer = new ObjectWriter(quarantine.repository, 'sha1', { holdBytes: 100 });
  const data = Buffer.from('held');
  const oid = await writer.write('blob', data);

  await writer.finish();
  assert.equal(await read(oid), undefined);
  await quarantine.migrate();
  writer.remember(repository);
  data.fill(0);
  rmSync(`${repository.path}/objects/${oid.slice(0, 2)}`, { recursive: true });

  assert.equal(await read(oid), 'held');
});

test('an object of a cruft pack is written again, as by git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const oid = await writeOne(repository, 'blob', Buffer.from('x'));
  gitOutput(repository.path, ['repack', '-d', '--cruft', '-q']);
  assert.ok(files(`${repository.path}/objects/pack`).some((name) => name.endsWith('.mtimes')));

  await writeOne(repository, 'blob', Buffer.from('x'));

  assert.ok(files(`${repository.path}/objects`).includes(`${oid.slice(0, 2)}/${oid.slice(2)}`));
});

test('a write that fails is reported at the end, and leaves no temporary file', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  rmSync(`${repository.path}/objects`, { recursive: true });

  await using writer = new ObjectWriter(repository, 'sha1');
  await writer.write('blob', Buffer.from('x'));

  await assert.rejects(writer.finish(), { code: 'ENOENT' });
});

for (const name of ['', '.', '..', 'a/b', 'a\0b']) {
  test(`no tree gets an entry named ${JSON.stringify(name)}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    await using writer = new ObjectWriter(repository, 'sha1');

    await assert.rejects(
      writer.writeTree([{ mode: 0o100644, name: Buffer.from(name), oid: '0'.repeat(40) }]),
    );
  });
}
