import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type RevListQuery, revList } from './rev-list.ts';

const ALL = ['refs/heads/main'];

type Query = Omit<RevListQuery, 'revisions'>;

/**
 * Queries, how git is asked the same, and whether it is needed. Most of them have other commits, or
 * another order.
 */
const QUERIES: readonly (readonly [query: Query, args: readonly string[], by?: 'git'])[] = [
  [{}, []],
  [{ order: 'topo' }, ['--topo-order'], 'git'],
  [{ order: 'date' }, ['--date-order'], 'git'],
  [{ before: '2020-09-13T12:26:45Z' }, ['--before=2020-09-13T12:26:45Z'], 'git'],
  [{ after: '2020-09-13T12:26:45Z' }, ['--after=2020-09-13T12:26:45Z'], 'git'],
  [{ author: Buffer.from('bob') }, ['--author=bob'], 'git'],
  [{ author: Buffer.from('bob'), ignoreCase: true }, ['--author=bob', '-i'], 'git'],
  [{ messagePatterns: [Buffer.from('3'), Buffer.from('4')] }, ['--grep=3', '--grep=4'], 'git'],
  [{ noWalk: true }, ['--no-walk'], 'git'],
  [{ reverse: true, maxCount: 3 }, ['--reverse', '-n3']],
  [{ maxParents: 1 }, ['--max-parents=1']],
  [{ firstParent: true }, ['--first-parent']],
  [{ skip: 2 }, ['--skip=2']],
  [{ maxCount: 2 }, ['-n2']],
  [{ maxCount: 0 }, ['-n0']],
  [{ paths: [Buffer.from('f[ab]')] }, ['--', 'f[ab]'], 'git'],
  [{ paths: [Buffer.from('f[ab]')], literalPathspecs: true }, ['--', ':(literal)f[ab]']],
  [{ paths: [Buffer.from('fa')], order: 'topo' }, ['--topo-order', '--', 'fa'], 'git'],
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

test('commits are selected and ordered as git does, in process and by git', async (context) => {
  const path = makeScratchDirectory('rev-list');
  context.after(() => rmSync(path, { recursive: true }));
  initRepository(path);
  gitOutput(path, ['fast-import', '--quiet'], history());
  const started: string[] = [];
  await using git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
  const repository = git.open(path);
  for (const [query, args, by] of QUERIES) {
    started.length = 0;
    const end = args.indexOf('--');
    const [options, paths] = end === -1 ? [args, []] : [args.slice(0, end), args.slice(end)];

    const batches = await Array.fromAsync(revList(repository, { revisions: ALL, ...query }));

    const expected = gitOutput(path, ['rev-list', ...options, ...ALL, ...paths]);
    const oids = batches.flat().map(({ oid }) => oid);
    assert.equal(oids.join('\n'), expected, args.join(' '));
    assert.equal(started.includes('rev-list'), by === 'git', args.join(' '));
  }
});
