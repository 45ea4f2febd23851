import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FallBackToGit, InProcess } from '#git/command/in-process';
import { readGrafts } from '#git/history/graph/grafts';
import type { GitRepository } from '#git/repository';
import { readAlternatesOf } from '#git/repository-files/alternates-file';
import { gitBytesSync } from '#testkit/repositories/git-bytes-sync';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { namedBlobs } from '../named-blobs.ts';
import { ObjectDatabases } from './object-databases.ts';
import { readShallowFile } from './shallow-file.ts';

const root = makeScratchDirectory('shallow-file');
const git = await GitFixture.start();
const withoutReads = await GitFixture.start({ inProcess: new InProcess({ isEnabled: false }) });
after(async () => {
  await Promise.all([git.close(), withoutReads.close()]);
  rmSync(root, { recursive: true });
});

function makeRepository(name: string, objectFormat: 'sha1' | 'sha256') {
  const path = join(root, `${name}-${objectFormat}.git`);
  initRepository(path, { objectFormat });
  const oid = addCommit(path);
  gitOutput(path, ['-c', 'user.name=a', '-c', 'user.email=a', 'tag', '-m', 'tag', 'v1', oid]);
  return { path, oid };
}

/** Returns the shallow commits that git knows; `undefined` if it refuses the file. */
function shallowOf(path: string, oid: string): string[] | undefined {
  try {
    gitBytesSync(path, ['log', '-1', oid]);
  } catch {
    return undefined;
  }
  const isCut = gitOutput(path, ['rev-parse', '--is-shallow-repository']) === 'true';
  return isCut ? [oid] : [];
}

const CONTENTS: Readonly<Record<string, (oid: string) => string>> = {
  'one commit': (oid) => `${oid}\n`,
  'a commit without a line feed': (oid) => oid,
  'a word': () => 'damaged\n',
  'an empty line': (oid) => `${oid}\n\n`,
  'an empty first line': (oid) => `\n${oid}\n`,
  'a short id': (oid) => `${oid.slice(0, -1)}\n`,
  'a byte before the id': (oid) => ` ${oid}\n`,
  'a byte after the id': (oid) => `${oid} \n`,
  'an id in upper case': (oid) => `${oid.toUpperCase()}\n`,
};
/** Accepted by git, but not written by it: the reader leaves them to git. */
const UNUSUAL = new Set(['a byte after the id', 'an id in upper case']);

for (const objectFormat of ['sha1', 'sha256'] as const)
  for (const [name, contents] of Object.entries(CONTENTS))
    test(`a list of shallow commits with ${name} is read as by git, ${objectFormat}`, () => {
      const { path, oid } = makeRepository(name, objectFormat);
      writeFileSync(join(path, 'shallow'), contents(oid));
      const expected = shallowOf(path, oid);

      const read = (): string[] => readShallowFile(git.open(path));

      if (expected === undefined || UNUSUAL.has(name)) assert.throws(read, FallBackToGit);
      else assert.deepEqual(read(), expected);
    });

test('a directory in place of the list is left to git, a list of two megabytes too', () => {
  const { path, oid } = makeRepository('odd', 'sha1');
  assert.deepEqual(readShallowFile(git.open(path)), []);

  mkdirSync(join(path, 'shallow'));
  assert.throws(() => readShallowFile(git.open(path)), { code: 'EISDIR' });
  rmSync(join(path, 'shallow'), { recursive: true });
  writeFileSync(join(path, 'shallow'), `${oid}\n`.repeat(50_000));

  assert.throws(() => readShallowFile(git.open(path)), FallBackToGit);
});

// Commits were read, and references peeled, where git fails with "bad shallow line".
test('objects beside a damaged list of shallow commits are left to git until it is mended', async () => {
  const { path, oid } = makeRepository('objects', 'sha1');
  const repository = git.open(path);
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], '');
  const { signal } = new AbortController();
  const databases = new ObjectDatabases();
  const find = () => databases.find(repository, Buffer.from(oid), true);
  const listed = async ({ peel = false, pointsAt = [] as string[] }, of = repository) => {
    const list = of.refs.list({ patterns: ['refs/'], pointsAt }, { peel });
    return [await Array.fromAsync(list).catch(String)].flat(2);
  };

  writeFileSync(join(path, 'shallow'), 'damaged\n');

  assert.throws(find, FallBackToGit);
  await setImmediate();
  assert.throws(find, FallBackToGit);
  const blobs = () => namedBlobs(repository, [Buffer.from(blob)], { isDataWanted: true, limit: 0, signal });
  assert.equal(await blobs(), undefined);
  for (const options of [{ peel: true }, { pointsAt: [oid] }])
    assert.deepEqual(await listed(options), await listed(options, withoutReads.open(path)));
  assert.equal((await listed({})).length, 2);

  writeFileSync(join(path, 'shallow'), `${oid}\n`);
  await setImmediate();

  assert.equal(find()?.oid, oid);
  assert.equal((await blobs())?.length, 1);
  assert.equal((await listed({ peel: true })).length, 2);
  databases.close();
});

test('a named pipe in place of a file that lists objects has no content, and does not block', () => {
  const { path } = makeRepository('pipes', 'sha1');
  mkdirSync(join(path, 'info'), { recursive: true });
  for (const file of ['shallow', 'info/grafts', 'objects/info/alternates'])
    outputSync('mkfifo', [join(path, file)]);

  assert.deepEqual(readAlternatesOf(join(path, 'objects')), []);
  assert.deepEqual([...readGrafts({ path, objectFormat: 'sha1' } as GitRepository)], []);
});
