import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { type RevListQuery, revList } from './rev-list.ts';

const ALL = ['refs/heads/main'];

/** Queries, and how git is asked the same. Most of them have other commits, or another order. */
const QUERIES: readonly (readonly [query: Omit<RevListQuery, 'revisions'>, args: readonly string[]])[] = [
  [{}, []],
  [{ order: 'topo' }, ['--topo-order']],
  [{ order: 'date' }, ['--date-order']],
  [{ before: '2020-09-13T12:26:45Z' }, ['--before=2020-09-13T12:26:45Z']],
  [{ after: '2020-09-13T12:26:45Z' }, ['--after=2020-09-13T12:26:45Z']],
  [{ author: Buffer.from('bob') }, ['--author=bob']],
  [{ author: Buffer.from('bob'), ignoreCase: true }, ['--author=bob', '-i']],
  [{ messagePatterns: [Buffer.from('3'), Buffer.from('4')] }, ['--grep=3', '--grep=4']],
  [{ noWalk: true }, ['--no-walk']],
  [{ reverse: true, maxCount: 3 }, ['--reverse', '-n3']],
  [{ maxParents: 1 }, ['--max-parents=1']],
  [{ firstParent: true }, ['--first-parent']],
  [{ skip: 2 }, ['--skip=2']],
  [{ maxCount: 2 }, ['-n2']],
  [{ maxCount: 0 }, ['-n0']],
  [{ paths: [Buffer.from('f[ab]')] }, ['--', 'f[ab]']],
  [{ paths: [Buffer.from('f[ab]')], literalPathspecs: true }, ['--', ':(literal)f[ab]']],
  [{ paths: [Buffer.from('fa')], order: 'topo' }, ['--topo-order', '--', 'fa']],
];

/** Commits with wrong dates and two authors, of which one is a merge. */
function history(): string {
  const commit = (at: number, branch: string, from: string, file: string): string =>
    `commit refs/heads/${branch}\nauthor ${at % 2 === 0 ? 'Ann' : 'Bob'} <x@x> 1 +0000\n` +
    `committer A <a@x> ${1_600_000_000 + at} +0000\ndata 1\n${at}\n` +
    `${from}M 100644 inline ${file}\ndata 1\n${at}\n`;
  return [
    commit(1, 'main', '', 'fa'),
    commit(8, 'side', 'from refs/heads/main\n', 'fb'),
    commit(3, 'main', '', 'f[ab]'),
    commit(4, 'side', '', 'fa'),
    commit(9, 'main', '', 'fa'),
    commit(6, 'main', 'merge refs/heads/side\n', 'c'),
    commit(7, 'main', '', 'fa'),
  ].join('');
}

test('commits are selected and ordered as git does, in process and by git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  gitOutput(repository.path, ['fast-import', '--quiet'], history());
  for (const [query, args] of QUERIES) {
    const end = args.indexOf('--');
    const [options, paths] = end === -1 ? [args, []] : [args.slice(0, end), args.slice(end)];

    const batches = await Array.fromAsync(revList(repository, { revisions: ALL, ...query }));

    const expected = gitOutput(repository.path, ['rev-list', ...options, ...ALL, ...paths]);
    const oids = batches.flat().map(({ oid }) => oid);
    assert.equal(oids.join('\n'), expected, args.join(' '));
  }
});
