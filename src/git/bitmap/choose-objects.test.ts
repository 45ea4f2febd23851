import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fastImport } from '#testkit/repositories/commit-files';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { FallBackToGit } from '../command/in-process.ts';
import { OID_BYTES } from '../names/object-id.ts';
import { countBits } from './bitmap-file.ts';
import { BitmappedPacks } from './bitmapped-packs.ts';
import { type ChosenObjects, ObjectChoice } from './choose-objects.ts';

/** Commits without a bitmap that are compared for one request. */
const MOST = 512;
/** As many directories as are read for one request, three for each commit and its parent, and more. */
const MANY_DIRECTORIES = 400;
/** git gives each of the newest ones a bitmap, and then one of more and more commits, up to 100. */
const NEWEST = 300;

const fixture = await StorageFixture.create();
after(() => fixture[Symbol.asyncDispose]());
const repository = fixture.init('unmarked.git');
fastImport(repository.path, Buffer.from(history()));
gitOutput(repository.path, ['repack', '-adbq']);

/**
 * Returns a stream of commits without bitmaps: of a hundred neighbours in time, git chooses a merge
 * if there is one. The branch `merges` has one for each 20 of the others.
 */
function history(): string {
  const lines = { line: ['file', MOST + 1], 'deep-0': ['a/b/file', MANY_DIRECTORIES] } as const;
  const branches = { ...lines, 'deep-1': lines['deep-0'] };
  const commits = Object.entries(branches).flatMap(([branch, [path, count]]) =>
    Array.from({ length: count }, (_, at) => commit(branch, at, path)),
  );
  const merges = NEWEST + Math.ceil(commits.length / 20);
  const second = commit('second', 0, 'second');
  return [second, ...Array.from({ length: merges }, (_, at) => merge(at, merges)), ...commits].join('');
}

function commit(branch: string, at: number, path: string): string {
  const content = `${branch} ${at}`;
  const change = `M 100644 inline ${path}\ndata ${content.length}\n${content}\n`;
  return `${headOf(branch, 1_000_000 + at * 20)}${change}`;
}

/** Returns one of some merges: the last ones are newer than all other commits. */
function merge(at: number, count: number): string {
  const seconds = at < count - NEWEST ? 1_000_000 + at * 160 : 2_000_000 + at;
  return `${headOf('merges', seconds)}merge refs/heads/second\n`;
}

function headOf(branch: string, seconds: number): string {
  return `commit refs/heads/${branch}\ncommitter C <c@example.com> ${seconds} +0000\ndata 1\nm\n`;
}

async function choose(want: string, { isNear }: { isNear: boolean }): Promise<ChosenObjects> {
  using packs = BitmappedPacks.open(repository);
  const { signal } = new AbortController();
  const oidBytes = OID_BYTES[repository.objectFormat];
  const options = { objects: repository.objects, oidBytes, leftOut: [], isNear, signal };
  return await (await ObjectChoice.start(packs, options)).addAll([want]);
}

function idOf(revision: string): string {
  return gitOutput(repository.path, ['rev-parse', revision]);
}

/** Checks that all objects of a commit were chosen, and that git need not add any. */
function assertWhole({ bits, tips }: ChosenObjects, want: string): void {
  const listed = gitOutput(repository.path, ['rev-list', '--objects', '--no-object-names', want]);
  assert.deepEqual([countBits(bits), tips], [listed.split('\n').length, []]);
}

function fallsBackTo(reason: string): (error: unknown) => boolean {
  return (error) => error instanceof FallBackToGit && error.message === reason;
}

test(`what ${MOST} commits without a bitmap add is compared, what more add is left to git`, async () => {
  const [most, more] = [idOf('line~1'), idOf('line')];

  assertWhole(await choose(most, { isNear: false }), most);
  assertWhole(await choose(most, { isNear: true }), most);

  assert.deepEqual((await choose(more, { isNear: false })).tips, [more]);
  await assert.rejects(choose(more, { isNear: true }), fallsBackTo('commits are far from bitmaps'));
});

test('a request reads a limited number of directories, and the next one continues', async () => {
  const [first, second] = [idOf('deep-0'), idOf('deep-1')];

  assert.deepEqual((await choose(first, { isNear: false })).tips, [first]);
  assertWhole(await choose(first, { isNear: false }), first);

  await assert.rejects(choose(second, { isNear: true }), fallsBackTo('commits were not compared yet'));
  assertWhole(await choose(second, { isNear: true }), second);
});
