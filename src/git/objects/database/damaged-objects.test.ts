import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { fc } from '#testkit/fast-check';
import { gitBytesSync } from '#testkit/repositories/git-bytes-sync';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { allObjects, makeObjects } from '#testkit/repositories/objects-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ObjectDatabases } from './object-databases.ts';

const root = makeScratchDirectory('damaged-objects');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

/** An object as it is in the undamaged repository. */
interface Contents {
  readonly oid: string;
  readonly type: string;
  readonly data: Buffer;
}

/** Reads the objects of a repository below a size with git. */
function contentsBelow(path: string, maxBytes: number): Contents[] {
  return allObjects(path)
    .filter(({ size }) => size < maxBytes)
    .map(({ oid, type }) => ({ oid, type, data: gitBytesSync(path, ['cat-file', type, oid]) }));
}

/** Returns the files of a repository with one pack, for a test that writes to them. */
function packFiles(path: string): string[] {
  const directory = join(path, 'objects/pack');
  const names = readdirSync(directory);
  return ['.pack', '.idx', 'multi-pack-index'].flatMap((ending) => {
    const name = names.find((each) => each.endsWith(ending));
    if (name === undefined) return [];
    chmodSync(join(directory, name), 0o644);
    return join(directory, name);
  });
}

/** Reads objects of a damaged repository, and counts those that were read and those left to git. */
function readDamaged(path: string, objects: readonly Contents[]): { found: number; refused: number } {
  const databases = new ObjectDatabases();
  const repository = git.open(path);
  const counts = { found: 0, refused: 0 };
  for (const { oid, type, data } of objects) {
    try {
      const object = databases.find(repository, Buffer.from(oid), true);
      counts.found++;
      if (data.equals(object?.data ?? Buffer.alloc(0)) && object?.type === type) continue;
      // Only an index that names another object's place has no checksum of it.
      assert.deepEqual(object?.data, gitBytesSync(path, ['cat-file', object?.type ?? type, oid]));
    } catch (error) {
      if (!(error instanceof FallBackToGit)) throw error;
      counts.refused++;
    }
  }
  databases.close();
  return counts;
}

// Objects were returned that git does not find: it uses nothing of such an index.
test('a pack index with numbers in the wrong order is left to git', () => {
  const path = makeObjects(join(root, 'fan-out.git'), 'sha1', 11);
  gitOutput(path, ['repack', '-adfq']);
  const tip = gitOutput(path, ['rev-parse', 'refs/heads/main']);
  const objects = contentsBelow(path, 5_000).filter(({ oid }) => oid === tip);
  const index = packFiles(path)[1] ?? '';
  const whole = readFileSync(index);
  const last = 8 + 254 * 4; // of the ids that begin with fe or a smaller byte
  whole.writeUInt32BE(whole.readUInt32BE(last + 4) + 1, last);

  writeFileSync(index, whole);

  assert.throws(() => gitBytesSync(path, ['cat-file', '-t', tip]));
  assert.deepEqual(readDamaged(path, objects), { found: 0, refused: 1 });
});

test('a damaged file gives the object that git reads, or leaves it to git', () => {
  const path = makeObjects(join(root, 'random.git'), 'sha1', 11);
  gitOutput(path, ['repack', '-adfq', '--write-midx']);
  const objects = contentsBelow(path, 5_000);
  let found = 0;
  let refused = 0;
  for (const file of packFiles(path)) {
    const whole = readFileSync(file);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
          fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, change]) => {
            const copy = Buffer.from(whole);
            copy.writeUInt8((copy[at] ?? 0) ^ change, at);
            return copy;
          }),
        ),
        (bytes) => {
          writeFileSync(file, bytes);
          const read = readDamaged(path, objects);
          found += read.found;
          refused += read.refused;
        },
      ),
      { numRuns: 60 },
    );
    writeFileSync(file, whole);
  }
  assert.ok(found > 0 && refused > 0, `${found} found, ${refused} refused`);
});

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`one wrong byte, or a file that ends early, anywhere in a small ${objectFormat} pack`, () => {
    const path = join(root, `${objectFormat}.git`);
    initRepository(path, { objectFormat });
    const tree = gitOutput(path, ['mktree'], '');
    gitOutput(path, ['commit-tree', '-m', 'empty', tree]);
    const text = Array.from({ length: 40 }, (_, line) => `line ${line}\n`).join('');
    for (const each of [text, `${text}more\n`]) gitOutput(path, ['hash-object', '-w', '--stdin'], each);
    const ids = allObjects(path).map(({ oid }) => `${oid}\n`);
    gitOutput(path, ['pack-objects', '-q', 'objects/pack/pack'], ids.join(''));
    gitOutput(path, ['prune-packed', '-q']);
    gitOutput(path, ['multi-pack-index', 'write']);
    const objects = contentsBelow(path, 5_000);
    for (const file of packFiles(path)) {
      const whole = readFileSync(file);
      for (let at = 0; at < whole.length; at++) {
        const copy = Buffer.from(whole);
        copy.writeUInt8((copy[at] ?? 0) ^ (1 + (at % 255)), at);
        for (const bytes of [copy, whole.subarray(0, at)]) {
          writeFileSync(file, bytes);
          readDamaged(path, objects);
        }
      }
      writeFileSync(file, whole);
    }
    assert.deepEqual(readDamaged(path, objects), { found: objects.length, refused: 0 });
  });

// git reads nothing of a pack whose first 12 bytes are damaged, nor of one with another checksum.
for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`a pack that is not that of its index is left to git: ${objectFormat}`, () => {
    const path = join(root, `other-${objectFormat}.git`);
    initRepository(path, { objectFormat });
    const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
    const objects = contentsBelow(path, 5_000);
    gitOutput(path, ['pack-objects', '-q', 'objects/pack/pack'], oid);
    gitOutput(path, ['prune-packed', '-q']);
    const [file = ''] = packFiles(path);
    const whole = readFileSync(file);
    const damaged = [...Array(12).keys(), whole.length - 1].map((at) => {
      const copy = Buffer.from(whole);
      copy.writeUInt8((copy[at] ?? 0) ^ 0x40, at);
      return copy;
    });
    for (const bytes of [
      ...damaged,
      Buffer.concat([whole, Buffer.alloc(1)]),
      whole.subarray(1),
      Buffer.alloc(0),
    ]) {
      writeFileSync(file, bytes);
      assert.throws(() => gitBytesSync(path, ['cat-file', '-t', oid]));
      assert.deepEqual(readDamaged(path, objects), { found: 0, refused: 1 });
    }
    writeFileSync(file, whole);
    assert.deepEqual(readDamaged(path, objects), { found: 1, refused: 0 });
  });

// An object was returned that git does not read: the size in its entry had leading zeros.
test('the size of an object in a pack has as many bytes as git accepts', () => {
  const path = join(root, 'long-size.git');
  initRepository(path);
  const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  const objects = contentsBelow(path, 5_000);
  gitOutput(path, ['pack-objects', '-q', 'objects/pack/pack'], oid);
  gitOutput(path, ['prune-packed', '-q']);
  const [file = ''] = packFiles(path);
  const whole = readFileSync(file);
  const writeSize = (bytes: number): void => {
    const size = Buffer.alloc(bytes, 0x80);
    size.writeUInt8((whole[12] ?? 0) | 0x80);
    size.writeUInt8(0, bytes - 1);
    writeFileSync(file, Buffer.concat([whole.subarray(0, 12), size, whole.subarray(13)]));
  };

  writeSize(9);
  assert.equal(gitBytesSync(path, ['cat-file', 'blob', oid]).toString(), 'x');
  assert.deepEqual(readDamaged(path, objects), { found: 1, refused: 0 });
  writeSize(10);
  assert.throws(() => gitBytesSync(path, ['cat-file', 'blob', oid]));
  assert.deepEqual(readDamaged(path, objects), { found: 0, refused: 1 });
});

test('a multi-pack-index with very long names of packs is left to git', () => {
  const path = join(root, 'long-names.git');
  initRepository(path);
  const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  const objects = contentsBelow(path, 5_000);
  gitOutput(path, ['pack-objects', '-q', 'objects/pack/pack'], oid);
  gitOutput(path, ['multi-pack-index', 'write']);
  gitOutput(path, ['prune-packed', '-q']);
  const file = packFiles(path)[2] ?? '';
  const whole = readFileSync(file);
  // The table of chunks begins at 12: names of 4 bytes, positions of 8.
  assert.equal(whole.toString('latin1', 12, 16), 'PNAM');
  const [start, end] = [16, 28].map((at) => Number(whole.readBigUInt64BE(at))) as [number, number];

  for (const [bytes, expected] of [
    [1024 * 1024, { found: 1, refused: 0 }],
    [1024 * 1024 + 1, { found: 0, refused: 1 }],
  ] as const) {
    const added = bytes - (end - start);
    const longer = Buffer.concat([whole.subarray(0, end), Buffer.alloc(added, 'x'), whole.subarray(end)]);
    for (let at = 28; at < start; at += 12)
      longer.writeBigUInt64BE(longer.readBigUInt64BE(at) + BigInt(added), at);
    writeFileSync(file, longer);
    assert.equal(gitBytesSync(path, ['cat-file', 'blob', oid]).toString(), 'x');
    assert.deepEqual(readDamaged(path, objects), expected);
  }
});

test('a damaged loose object is left to git, wherever the damage is', () => {
  const path = join(root, 'loose.git');
  initRepository(path);
  const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], `${'text '.repeat(50)}\n`);
  const file = join(path, 'objects', oid.slice(0, 2), oid.slice(2));
  const whole = readFileSync(file);
  const contents = gitBytesSync(path, ['cat-file', 'blob', oid]);
  chmodSync(file, 0o644);
  const repository = git.open(path);
  const read = (): Buffer | undefined => new ObjectDatabases().find(repository, Buffer.from(oid), true)?.data;
  for (let at = 0; at < whole.length; at++) {
    const copy = Buffer.from(whole);
    copy.writeUInt8((copy[at] ?? 0) ^ 0x55, at);
    for (const bytes of [copy, whole.subarray(0, at)]) {
      writeFileSync(file, bytes);
      try {
        assert.deepEqual(read(), contents);
      } catch (error) {
        assert.ok(error instanceof FallBackToGit, String(error));
      }
    }
  }
  writeFileSync(file, whole);
  appendFileSync(file, 'more');
  assert.throws(read, FallBackToGit);
  writeFileSync(file, whole);
  assert.deepEqual(read(), contents);
});
