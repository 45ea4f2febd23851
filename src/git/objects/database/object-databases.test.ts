import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { FallBackToGit } from '#git/command/in-process';
import { isOid, trustedOid } from '#git/names/object-id';
import { encodedDistance, entryHeader, packHeader } from '#git/objects/pack-header';
import { encodeDelta } from '#git/objects/write/encode-delta';
import { openFilesBelow } from '#testkit/measure/open-files';
import { gitBytesSync } from '#testkit/repositories/git-bytes-sync';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { allObjects, makeObjects } from '#testkit/repositories/objects-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ObjectDatabases } from './object-databases.ts';

const root = makeScratchDirectory('object-databases');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

let made = 0;
const makeRepository = (objectFormat: 'sha1' | 'sha256' = 'sha1', seed = 7): string =>
  makeObjects(join(root, `${made++}.git`), objectFormat, seed);

/** Compares every object of a repository with git, and returns how many were read in process. */
function compareAll(path: string, databases = new ObjectDatabases()): number {
  const repository = git.open(path);
  let read = 0;
  for (const { oid, type, size } of allObjects(path)) {
    assert.deepEqual(databases.find(repository, Buffer.from(oid), false), { oid, type, size });
    if (size > 256 * 1024) {
      assert.throws(() => databases.find(repository, Buffer.from(oid), true), FallBackToGit);
      continue;
    }
    const found = databases.find(repository, Buffer.from(oid), true);
    assert.ok(found?.data.equals(gitBytesSync(path, ['cat-file', type, oid])), oid);
    assert.equal(found?.type, type);
    read++;
  }
  databases.close();
  return read;
}

const LAYOUTS: Readonly<Record<string, (path: string) => void>> = {
  'loose objects': () => {},
  'one pack': (path) => gitOutput(path, ['repack', '-adq', '--depth=50', '--window=50']),
  'a pack whose deltas name their bases': (path) =>
    gitOutput(path, ['-c', 'repack.useDeltaBaseOffset=false', 'repack', '-adq']),
  'packs and loose objects': (path) => {
    gitOutput(path, ['repack', '-dq']);
    gitOutput(path, ['hash-object', '-w', '--stdin'], 'later');
    gitOutput(path, ['repack', '-dq']);
    gitOutput(path, ['hash-object', '-w', '--stdin'], 'latest');
  },
  'several packs and a multi-pack-index': (path) => {
    gitOutput(path, ['repack', '-dq']);
    gitOutput(path, ['commit-tree', '-m', 'more', 'refs/heads/main^{tree}']);
    gitOutput(path, ['repack', '-dq']);
    gitOutput(path, ['multi-pack-index', 'write']);
  },
  'an index with offsets of 64 bits': (path) => {
    gitOutput(path, ['repack', '-adq']);
    for (const name of readdirSync(join(path, 'objects/pack'))) {
      if (!name.endsWith('.pack')) continue;
      const pack = join(path, 'objects/pack', name);
      rmSync(pack.replace(/\.pack$/, '.idx'), { force: true });
      gitOutput(path, ['index-pack', '--index-version=2,0x40', pack]);
    }
  },
};

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const [name, arrange] of Object.entries(LAYOUTS)) {
    test(`every object is what git reads: ${name}, ${objectFormat}`, () => {
      const path = makeRepository(objectFormat);
      arrange(path);

      assert.ok(compareAll(path) > 60);
    });
  }
}

// Its size was read from 128 bytes. zlib's codes of a block may take more; empty blocks do here.
test('a delta whose first bytes inflate to nothing is what git reads', () => {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const base = Buffer.from('the base of a delta\n'.repeat(50));
  const delta = encodeDelta(base, Buffer.concat([base, Buffer.from('and more\n')]), base.length);
  assert.ok(delta);
  const zlib = deflateSync(delta);
  const late = Buffer.concat([zlib.subarray(0, 2), ...EMPTY_BLOCKS, zlib.subarray(2)]);
  const whole = Buffer.concat([entryHeader('blob', base.length), deflateSync(base)]);
  const distance = encodedDistance(whole.length);
  const pack = Buffer.concat([
    ...[packHeader(2), whole, entryHeader('offset-delta', delta.length), distance, late],
  ]);
  const checksum = createHash('sha1').update(pack).digest();
  gitOutput(path, ['index-pack', '--stdin'], Buffer.concat([pack, checksum]));

  assert.equal(compareAll(path), 2);
});

/** Blocks of zlib without data, 200 bytes in all. */
const EMPTY_BLOCKS = Array.from({ length: 40 }, () => Buffer.from([0, 0, 0, 0xff, 0xff]));

test('names with types and paths lead where git finds an object', () => {
  const path = makeRepository();
  const repository = git.open(path);
  const databases = new ObjectDatabases();
  const [file = ''] = gitOutput(path, ['ls-tree', '-r', '--name-only', 'refs/heads/main']).split('\n');
  const oidOf = (name: string): string => gitOutput(path, ['rev-parse', name]);
  const [main, tag, tree, blob] = [
    'refs/heads/main',
    'v2',
    'refs/heads/main^{tree}',
    `refs/heads/main:${file}`,
  ].map(oidOf);
  const paths = [
    '',
    file,
    `${file}/x`,
    'a',
    'b',
    'd',
    'd/x',
    'd/e/z',
    'd/e',
    'name with space',
    'a/x',
    'nope',
    'd/nope',
    'd/',
    '/a',
    'd//x',
    'd/../a',
  ];
  const revisions = [main, tag, tree, blob].flatMap((oid) => [
    `${oid}`,
    ...['commit', 'tree', 'blob', 'tag', ''].map((type) => `${oid}^{${type}}`),
    ...paths.map((below) => `${oid}:${below}`),
  ]);

  const answered = revisions.filter((revision) => {
    const line = gitOutput(path, ['cat-file', '--batch-check'], `${revision}\n`);
    const [oid = '', type, size] = line.split(' ');
    const expected = isOid(oid) && type !== 'missing' ? { oid, type, size: Number(size) } : undefined;
    try {
      const found = databases.find(repository, Buffer.from(revision), true);
      const { data, isCached: _, ...info } = found ?? {};
      assert.deepEqual(found && info, expected, revision);
      assert.equal(data?.length, expected?.size);
    } catch (error) {
      if (!(error instanceof FallBackToGit)) throw error;
      // git reports more about names without an object, and about strange paths.
      assert.ok(
        expected === undefined || /:.*(?:\/$|\/\/|\.)/.test(revision),
        `${revision}: ${error.message}`,
      );
      return false;
    }
    return true;
  });

  assert.ok(answered.length > 40, `${answered.length} of ${revisions.length}`);
  databases.close();
});

test('a tag that gives another type than its object has is left to git', () => {
  const path = makeRepository();
  const main = gitOutput(path, ['rev-parse', 'refs/heads/main']);
  const data = `object ${main}\ntype tree\ntag x\ntagger A <a@x> 1 +0000\n\nx\n`;
  const tag = gitOutput(path, ['hash-object', '-t', 'tag', '-w', '--literally', '--stdin'], data);
  const databases = new ObjectDatabases();

  for (const type of ['', 'commit', 'tree'])
    assert.throws(() => databases.find(git.open(path), Buffer.from(`${tag}^{${type}}`), true), FallBackToGit);
  databases.close();
});

test('objects of alternates, and of their alternates, are found', () => {
  const pool = makeRepository('sha1', 3);
  gitOutput(pool, ['repack', '-adq']);
  const [first, second] = [join(root, `${made++}.git`), join(root, `${made++}.git`)] as const;
  for (const [path, alternate] of [
    [first, join(pool, 'objects')],
    [second, `../../${first.slice(root.length + 1)}/objects`],
  ] as const) {
    initRepository(path);
    mkdirSync(join(path, 'objects/info'), { recursive: true });
    writeFileSync(join(path, 'objects/info/alternates'), `# comment\n\n${alternate}\n`);
    gitOutput(path, ['hash-object', '-w', '--stdin'], `own ${path}`);
  }

  assert.ok(allObjects(second).length > allObjects(pool).length);
  compareAll(second);
});

// An object was returned that git does not find.
test('an alternate that ends in a carriage return names another directory', () => {
  const pool = makeRepository('sha1', 3);
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const { oid } = allObjects(pool)[0] ?? assert.fail();
  const databases = new ObjectDatabases();
  mkdirSync(join(path, 'objects/info'), { recursive: true });

  writeFileSync(join(path, 'objects/info/alternates'), `${pool}/objects\r\n`);

  assert.throws(() => gitBytesSync(path, ['cat-file', '-t', oid]));
  assert.throws(() => databases.find(git.open(path), Buffer.from(oid), false), FallBackToGit);
  databases.close();
});

// Every read failed with `panic: The argument 'path' must be a string … without null bytes`.
test('alternates end at a NUL', () => {
  const pool = makeRepository('sha1', 3);
  const path = makeRepository('sha1', 4);
  const file = join(path, 'objects/info/alternates');
  mkdirSync(join(path, 'objects/info'), { recursive: true });

  writeFileSync(file, `${pool}/objects\0\n../x\n`);
  const borrowed = allObjects(path).length;
  compareAll(path);

  writeFileSync(file, '\0'.repeat(20));
  assert.ok(allObjects(path).length < borrowed);
  compareAll(path);
});

// Objects of the repository were returned, while git failed.
test('a quarantine that was removed is left to git', async () => {
  const path = makeRepository();
  const objectDirectory = join(path, 'objects/incoming');
  mkdirSync(objectDirectory);
  const repository = git
    .open(path)
    .withObjectDirectories({ objectDirectory, alternateObjectDirectories: [join(path, 'objects')] });
  const { oid } = allObjects(path)[0] ?? assert.fail();
  const databases = new ObjectDatabases();
  const find = () => databases.find(repository, Buffer.from(oid), false);
  assert.equal(find()?.oid, oid);

  rmSync(objectDirectory, { recursive: true });
  await new Promise(setImmediate);

  assert.throws(find, FallBackToGit);
  databases.close();
});

test('many packs are read through a multi-pack-index only', async () => {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const oids = Array.from({ length: 70 }, (_, number) => {
    const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], `${number}`);
    gitOutput(path, ['pack-objects', '-q', 'objects/pack/pack'], `${oid}\n`);
    return oid;
  });
  gitOutput(path, ['prune-packed', '-q']);
  const repository = git.open(path);
  const databases = new ObjectDatabases();
  const find = (oid: string) => databases.find(repository, Buffer.from(oid), true)?.data.toString();
  assert.throws(() => find(oids[0] ?? ''), FallBackToGit);

  gitOutput(path, ['multi-pack-index', 'write']);
  await new Promise(setImmediate);

  assert.deepEqual(
    oids.map(find),
    oids.map((_, number) => `${number}`),
  );
  gitOutput(path, ['hash-object', '-w', '--stdin'], 'new');
  const later = gitOutput(path, ['hash-object', '-w', '--stdin'], 'later');
  gitOutput(path, ['pack-objects', '-q', 'objects/pack/pack'], `${later}\n`);
  await new Promise(setImmediate);
  assert.equal(find(later), 'later');

  databases.forget(repository);
  assert.equal(find(oids[0] ?? ''), '0');
  databases.close();
});

test('a directory of thousands of packs is left to git, until they are gone', async () => {
  const path = join(root, `${made++}.git`);
  initRepository(path, { commits: 1 });
  gitOutput(path, ['repack', '-adq']);
  const oid = gitOutput(path, ['rev-parse', 'main']);
  const repository = git.open(path);
  const databases = new ObjectDatabases();
  const find = () => databases.find(repository, Buffer.from(oid), false)?.type;
  const others = Array.from({ length: 2048 }, (_, number) => join(path, `objects/pack/pack-${number}.idx`));
  for (const other of others) writeFileSync(other, '');
  assert.throws(find, { message: 'there are too many packs' });

  for (const other of others) rmSync(other);
  await new Promise(setImmediate);

  assert.equal(find(), 'commit');
  databases.close();
});

test('a repack, a prune and another repository at the path are noticed', async () => {
  const path = makeRepository();
  const repository = git.open(path);
  const databases = new ObjectDatabases();
  const find = (oid: string) => databases.find(repository, Buffer.from(oid), true);
  const nextTurn = () => new Promise(setImmediate);
  const lost = gitOutput(path, ['hash-object', '-w', '--stdin'], 'unreachable\n');
  const main = gitOutput(path, ['rev-parse', 'refs/heads/main']);
  gitOutput(path, ['repack', '-dq']);
  assert.equal(find(main)?.type, 'commit');
  assert.equal(find(lost)?.type, 'blob');

  for (const turn of [1, 2, 3]) {
    await nextTurn();
    const added = gitOutput(path, [
      'commit-tree',
      '-m',
      `turn ${turn}`,
      '-p',
      'refs/heads/main',
      'refs/heads/main^{tree}',
    ]);
    gitOutput(path, ['update-ref', 'refs/heads/main', added]);
    gitOutput(path, ['repack', '-adq']);
    await nextTurn();
    assert.equal(find(added)?.type, 'commit');
    assert.equal(find(main)?.type, 'commit');
  }

  gitOutput(path, ['gc', '--prune=now', '--quiet']);
  await nextTurn();
  assert.throws(() => find(lost), FallBackToGit);
  rmSync(path, { recursive: true });
  initRepository(path);
  await nextTurn();
  assert.throws(() => find(main), FallBackToGit);
  databases.close();
});

test('files of a repository that nobody reads are closed', () => {
  const path = makeRepository();
  gitOutput(path, ['repack', '-adq']);
  const databases = new ObjectDatabases();
  databases.find(git.open(path), Buffer.from(gitOutput(path, ['rev-parse', 'refs/heads/main'])), true);
  assert.equal(openFilesBelow(path), 2);

  databases.forget(git.open(path));

  assert.equal(openFilesBelow(path), 0);
  databases.close();
});

test('an index whose pack cannot be opened does not stay open', () => {
  const path = makeRepository();
  gitOutput(path, ['repack', '-adq']);
  const [pack = ''] = readdirSync(join(path, 'objects/pack')).filter((name) => name.endsWith('.pack'));
  rmSync(join(path, 'objects/pack', pack));
  symlinkSync('nowhere', join(path, 'objects/pack', pack));
  const databases = new ObjectDatabases();
  const revision = Buffer.from(gitOutput(path, ['rev-parse', 'refs/heads/main']));

  assert.throws(() => databases.find(git.open(path), revision, true), { code: 'ENOENT' });

  assert.equal(openFilesBelow(path), 0);
  databases.close();
});

test('an id of another length is left to git', () => {
  const path = makeRepository();
  const oid = trustedOid('a'.repeat(64));
  assert.throws(() => new ObjectDatabases().find(git.open(path), Buffer.from(oid), true), FallBackToGit);
});

for (const [name, file, text] of [
  ['HEAD is no reference', 'HEAD', 'garbage\n'],
  ['config cannot be parsed', 'config', '[core\n'],
  ['the version is unknown', 'config', '[core]\n\trepositoryformatversion = 9\n'],
  ['an extension is unknown', 'config', '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tother = x\n'],
] as const) {
  test(`a repository that git refuses is left to git: ${name}`, () => {
    const path = makeRepository();
    const repository = git.open(path);
    const revision = Buffer.from(gitOutput(path, ['rev-parse', 'refs/heads/main']));
    const databases = new ObjectDatabases();
    assert.equal(databases.find(repository, revision, true)?.type, 'commit');
    writeFileSync(join(path, file), text);

    assert.throws(() => gitBytesSync(path, ['cat-file', '-t', revision.toString()]));
    const other = new ObjectDatabases();
    assert.throws(() => other.find(repository, revision, true), FallBackToGit);
    other.close();
    databases.close();
  });
}
