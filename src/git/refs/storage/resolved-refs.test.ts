import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { HEAD, trustedRefName } from '#git/names/ref-name';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { oidOf } from '#testkit/repositories/oid-of';
import { RefReader } from '../ref-reader.ts';
import { RefCaches } from '../resolve/ref-caches.ts';
import { ResolvedRefs } from './resolved-refs.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'resolved-test-')));
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});

/** A clock for which every file is old enough. */
const LATER = (): number => Date.now() + 60_000;

function createRepository(name: string): { path: string; commits: string[] } {
  const path = join(directory, name);
  initRepository(path, {});
  const tree = gitOutput(path, ['mktree'], '');
  return {
    path,
    commits: ['one', 'two', 'three'].map((text) => gitOutput(path, ['commit-tree', '-m', text, tree])),
  };
}

test('what was remembered is forgotten with any change that git makes to a reference', async () => {
  const { path, commits } = createRepository('changes.git');
  const [one = '', two = '', three = ''] = commits;
  const resolved = new ResolvedRefs(LATER);
  const repository = git.open(path);
  const reader = new RefReader(new RefCaches(resolved), repository);
  const changes: string[][] = [
    ['update-ref', 'refs/heads/main', one],
    ['update-ref', 'refs/heads/main', two],
    ['pack-refs', '--all'],
    ['update-ref', 'refs/heads/main', three],
    ['symbolic-ref', 'HEAD', 'refs/heads/other'],
    ['update-ref', 'refs/heads/other', one],
    ['pack-refs', '--all'],
    ['update-ref', '-d', 'refs/heads/other'],
    ['symbolic-ref', 'HEAD', 'refs/heads/main'],
    ['update-ref', '-d', 'refs/heads/main'],
    ['update-ref', 'refs/heads/main/below', two],
    ['update-ref', '-d', 'refs/heads/main/below'],
    ['update-ref', 'refs/heads/main', one],
    ['update-ref', '--no-deref', 'HEAD', two],
  ];
  for (const change of changes) {
    gitOutput(path, change);
    for (const name of ['HEAD', 'refs/heads/main', 'refs/heads/other', 'refs/heads/main/below']) {
      const found = await reader.resolve(name);
      const again = await reader.resolve(name);

      assert.equal(found?.oid, askGit(path, name), `${change.join(' ')}: ${name}`);
      assert.deepEqual(again, found);
      // Below a file, git is queried.
      if (!name.endsWith('/below')) assert.ok(resolved.find(path, name), 'it was not remembered');
    }
  }
});

test('a short name is forgotten with any change that gives it another meaning', () => {
  const { path, commits } = createRepository('short.git');
  const [one = '', two = '', three = ''] = commits;
  const resolved = new ResolvedRefs(LATER);
  const reader = new RefReader(new RefCaches(resolved), git.open(path));
  const names = ['main', 'below/it', 'heads/main'];
  const changes = [
    ['update-ref', 'refs/heads/main', one],
    ['update-ref', 'refs/heads/main', two],
    ['update-ref', 'refs/heads/below/it', one],
    ['pack-refs', '--all'],
    ['update-ref', 'refs/tags/main', three],
    ['pack-refs', '--all'],
    ['update-ref', 'refs/main', one],
    ['update-ref', '-d', 'refs/main'],
    ['update-ref', 'refs/tags/below/it', two],
    ['update-ref', '-d', 'refs/tags/main'],
    ['symbolic-ref', 'refs/tags/main', 'refs/heads/below/it'],
    ['update-ref', 'refs/heads/below/it', three],
    ['update-ref', '--no-deref', '-d', 'refs/tags/main'],
    ['update-ref', '-d', 'refs/heads/main'],
  ];
  let found = 0;
  for (const change of changes) {
    gitOutput(path, change);
    for (const name of names) {
      const now = reader.resolveShortNow(name);
      assert.equal(now?.oid, askGit(path, name), `${change.join(' ')}: ${name}`);
      assert.deepEqual(reader.resolveShortNow(name), now);
      assert.equal(resolved.find(path, name, 'short')?.ref?.oid, now?.oid);
      if (now !== undefined) found++;
    }
  }
  assert.ok(found > 2 * changes.length, 'most names exist');
});

test('a file of the git directory hides a short name, also one that was remembered', () => {
  const { path, commits } = createRepository('file.git');
  gitOutput(path, ['update-ref', 'refs/heads/main', commits[0] ?? '']);
  const resolved = new ResolvedRefs(LATER);
  const reader = new RefReader(new RefCaches(resolved), git.open(path));
  assert.equal(reader.resolveShortNow('main')?.oid, commits[0]);

  writeFileSync(join(path, 'main'), `${commits[1]}\n`);

  assert.equal(reader.resolveShortNow('main'), undefined); // only git knows: `commits[1]`
});

test('a full name is never taken for a short one', () => {
  const { path, commits } = createRepository('forms.git');
  gitOutput(path, ['update-ref', 'refs/heads/main', commits[0] ?? '']);
  const resolved = new ResolvedRefs(LATER);
  const reader = new RefReader(new RefCaches(resolved), git.open(path));
  assert.equal(reader.resolveShortNow('main')?.oid, commits[0]);

  assert.equal(resolved.find(path, 'main'), undefined);
});

function askGit(path: string, name: string): string | undefined {
  try {
    return gitOutput(path, ['rev-parse', '--verify', '--quiet', name]);
  } catch {
    return undefined;
  }
}

test('files that changed a moment ago are not cached: the next change may leave the same time', () => {
  const { path, commits } = createRepository('young.git');
  gitOutput(path, ['update-ref', 'refs/heads/main', commits[0] ?? '']);
  const young = new ResolvedRefs();
  const old = new ResolvedRefs(LATER);
  for (const refs of [young, old]) {
    const watch = refs.watch(path, 'HEAD');
    watch.before(HEAD);
    watch.found({ name: HEAD, oid: oidOf(commits[0] ?? '') }, 'files');
  }

  assert.equal(young.find(path, 'HEAD'), undefined);
  assert.equal(old.find(path, 'HEAD')?.ref?.oid, commits[0]);
});

test('a file that is written in place is read again, also when it stays as long as it was', () => {
  const { path, commits } = createRepository('in-place.git');
  const [one = '', two = ''] = commits;
  writeFileSync(join(path, 'refs/heads/main'), `${one}\n`);
  const refs = new ResolvedRefs(LATER);
  const name = trustedRefName(Buffer.from('refs/heads/main'));
  const watch = refs.watch(path, 'refs/heads/main');
  watch.before(name);
  watch.found({ name, oid: oidOf(one) }, 'files');
  const before = statSync(join(path, 'refs/heads/main')).ctimeMs;

  while (statSync(join(path, 'refs/heads/main')).ctimeMs === before)
    writeFileSync(join(path, 'refs/heads/main'), `${two}\n`);

  assert.equal(refs.find(path, 'refs/heads/main'), undefined);
});

// Symptom: a server that backed up 1,000 repositories held 26 MB of Node's pool of small buffers,
// because each remembered name was a slice of 64 KiB.
test('a name that is remembered takes no more memory than its bytes', async () => {
  const { path, commits } = createRepository('name-memory.git');
  gitOutput(path, ['update-ref', 'refs/heads/main', commits[0] ?? '']);
  const resolved = new ResolvedRefs(LATER);
  const reader = new RefReader(new RefCaches(resolved), git.open(path));

  await reader.resolve('HEAD');
  const name = resolved.find(path, 'HEAD')?.ref?.name;

  assert.equal(`${name}`, 'refs/heads/main');
  assert.equal(name?.buffer.byteLength, name?.length);
});

test('repositories with the same default branch share its name in memory', async () => {
  const resolved = new ResolvedRefs(LATER);
  const names = [];
  for (const repository of ['share-1.git', 'share-2.git']) {
    const { path, commits } = createRepository(repository);
    gitOutput(path, ['update-ref', 'refs/heads/main', commits[0] ?? '']);
    await new RefReader(new RefCaches(resolved), git.open(path)).resolve('HEAD');
    names.push(resolved.find(path, 'HEAD')?.ref?.name);
  }

  assert.equal(`${names[0]}`, 'refs/heads/main');
  assert.equal(names[0], names[1]);
});
