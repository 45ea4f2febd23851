import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { GitRepository } from '#git/repository';
import { fc } from '#testkit/fast-check';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { askForBranchTips } from '../git/ask-for-branch-tips.ts';
import type { BranchTip } from './branch-tip.ts';
import { listBranchTips } from './list-branch-tips.ts';
import { parsePlainCommit } from './parse-branch-tip.ts';

const directory = makeScratchDirectory('tips');
const started: string[] = [];
const git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});

let count = 0;
const QUERY = { patterns: ['refs/heads/'] };

function createRepository(objectFormat: 'sha1' | 'sha256' = 'sha1'): {
  repository: GitRepository;
  path: string;
  tree: string;
} {
  const path = join(directory, `${count++}.git`);
  initRepository(path, { objectFormat });
  const tree = gitOutput(path, ['mktree'], '');
  return {
    repository: git.open(path),
    path,
    tree,
  };
}

/** Writes an object unchanged, with a branch pointing to it. */
function addBranch(path: string, name: string, data: string | Buffer, type = 'commit'): void {
  const oid = gitOutput(path, ['hash-object', '-t', type, '-w', '--literally', '--stdin'], Buffer.from(data));
  mkdirSync(join(path, 'refs/heads'), { recursive: true });
  writeFileSync(join(path, 'refs/heads', name), `${oid}\n`);
}

/** Returns a failure, or a list, in comparable form. */
async function outcome(tips: AsyncIterable<BranchTip[]>): Promise<unknown> {
  try {
    return (await Array.fromAsync(tips)).flat().map((tip) => ({
      ...tip,
      ...Object.fromEntries(
        ['name', 'subject', 'body'].map((key) => [
          key,
          tip[key as 'name' | 'subject' | 'body'].toString('latin1'),
        ]),
      ),
      ...Object.fromEntries((['author', 'committer'] as const).map((key) => [key, person(tip[key])])),
    }));
  } catch (error) {
    return String(error);
  }
}

function person({ name, email, seconds, timezone }: BranchTip['author']): string {
  return `${name.toString('latin1')}|${email.toString('latin1')}|${seconds}|${timezone}`;
}

async function check(repository: GitRepository, query = {}): Promise<void> {
  const asked = { ...QUERY, ...query };

  assert.deepEqual(
    await outcome(listBranchTips(repository, asked)),
    await outcome(askForBranchTips(repository, asked)()),
  );
}

const PEOPLE = ['author A U Thor <a@x> 1600000100 +0200', 'committer C <c@x> 1600000200 -0500'];
const COMMITS: Readonly<Record<string, (tree: string) => string>> = {
  plain: (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\n\nsubject\n\nbody\n`,
  'empty message': (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\n\n`,
  'no message': (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\n`,
  folded: (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\n\n\n\n  one\ntwo\r\nthree\n\n\nbody`,
  crlf: (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\n\none\r\ntwo\r\n\r\nbody\r\n`,
  signed: (tree) =>
    `tree ${tree}\n${PEOPLE.join('\n')}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n` +
    ' -----END PGP SIGNATURE-----\n\nx\n',
  'signature in message': (tree) =>
    `tree ${tree}\n${PEOPLE.join('\n')}\n\none\n-----BEGIN PGP SIGNATURE-----\nAAAA\n`,
  encoding: (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\nencoding latin-1\n\n\u00e9\n`,
  'negative zero zone': (tree) => `tree ${tree}\nauthor A <a@x> 1 -0000\ncommitter C <c@x> 007 +0000\n\nx\n`,
  'no names': (tree) => `tree ${tree}\nauthor  <a@x> 1 +0000\ncommitter <c@x> 1 +0000\n\nx\n`,
  'spaces in names': (tree) => `tree ${tree}\nauthor  A  <a@x> 1 +0000\ncommitter C\t <c @x> 1 +0000\n\nx\n`,
  'no address': (tree) => `tree ${tree}\nauthor Only Name\ncommitter C <c@x> 1 +0000\n\nx\n`,
  'no date': (tree) => `tree ${tree}\nauthor A <a@x>\ncommitter C <c@x>\n\nx\n`,
  'odd zone': (tree) => `tree ${tree}\nauthor A <a@x> 1 -1\ncommitter C <c@x> 1 +123456\n\nx\n`,
  'huge date': (tree) =>
    `tree ${tree}\nauthor A <a@x> 9007199254740993 +0000\ncommitter C <c@x> 9223372036854775807 +0000\n\nx\n`,
  'brackets in addresses': (tree) => `tree ${tree}\nauthor A <<a@x>> 1 +0000\ncommitter C <> 1 +0000\n\nx\n`,
  'two authors': (tree) =>
    `tree ${tree}\nauthor A <a@x> 1 +0000\nauthor B <b@x> 2 +0000\ncommitter C <c@x> 1 +0000\n\nx\n`,
  nul: (tree) => `tree ${tree}\n${PEOPLE.join('\n')}\n\nbefore\0after\n`,
};

for (const format of ['sha1', 'sha256'] as const) {
  test(`commits of every shape in a ${format} repository are shown as git shows them`, async (context) => {
    for (const [name, make] of Object.entries(COMMITS)) {
      const { repository, path, tree } = createRepository(format);
      addBranch(path, 'a', COMMITS.plain?.(tree) ?? '');
      addBranch(path, 'b', make(tree));
      addBranch(path, 'c', COMMITS.folded?.(tree) ?? '');

      await context.test(name, () => check(repository));
    }
  });
}

test('what is plain is shown without for-each-ref, also when there is much of it', async () => {
  const { repository, path, tree } = createRepository();
  const parents = [1, 2].map((number) => gitOutput(path, ['commit-tree', '-m', `parent ${number}`, tree]));
  addBranch(
    path,
    'merge',
    `tree ${tree}\n${parents.map((parent) => `parent ${parent}\n`).join('')}${PEOPLE.join('\n')}\n\nmerge\n`,
  );
  for (const [index, name] of [
    'plain',
    'folded',
    'crlf',
    'signed',
    'encoding',
    'negative zero zone',
    'no names',
  ].entries()) {
    addBranch(path, `b${index}`, COMMITS[name]?.(tree) ?? '');
  }
  await Array.fromAsync(listBranchTips(repository, QUERY));
  started.length = 0;
  await Array.fromAsync(listBranchTips(repository, QUERY));
  assert.deepEqual(started, []);

  const merge = gitOutput(path, ['rev-parse', 'merge']);
  const lines = Array.from(
    { length: 5_000 },
    (_, index) => `${merge} refs/heads/many-${String(index).padStart(5, '0')}`,
  );
  writePackedRefs(path, lines);
  started.length = 0;
  const tips = (await Array.fromAsync(listBranchTips(repository, QUERY))).flat();
  assert.deepEqual([tips.length, started], [5_008, ['cat-file']]);
  for (const query of [{}, { sort: '-committerdate' }, { exclude: [Buffer.from('refs/heads/many-0*')] }])
    await check(repository, query);
});

test('from something unusual on git is asked, and nothing is shown twice', async () => {
  const { repository, path, tree } = createRepository();
  const plain = COMMITS.plain?.(tree) ?? '';
  for (const name of ['a', 'b', 'y', 'z']) addBranch(path, name, plain);
  addBranch(
    path,
    'm-tag',
    `object ${gitOutput(path, ['rev-parse', 'a'])}\ntype commit\ntag x\ntagger T <t@x> 1 +0000\n\nmessage\n`,
    'tag',
  );
  addBranch(path, 'n-blob', 'contents', 'blob');
  addBranch(path, 'o-tree', '', 'tree');

  for (const query of [{}, { sort: 'committerdate' }, { sort: '-committerdate' }])
    await check(repository, query);
  const names = (await Array.fromAsync(listBranchTips(repository, QUERY)))
    .flat()
    .map(({ name }) => name.toString().slice(11));
  assert.deepEqual(names, ['a', 'b', 'm-tag', 'n-blob', 'o-tree', 'y', 'z']);
});

test('a branch without its object, a negative date: errors in the words of git', async () => {
  const { repository, path, tree } = createRepository();
  addBranch(path, 'a', COMMITS.plain?.(tree) ?? '');
  writeFileSync(join(path, 'refs/heads/b'), `${'1'.repeat(40)}\n`);
  // newer gits abort
  const reference = spawnSync('git', ['for-each-ref', '--format=%(tree)'], { cwd: path });
  const ending = { exitCode: reference.status ?? undefined, signal: reference.signal ?? undefined };

  await assert.rejects(Array.fromAsync(listBranchTips(repository, QUERY)), {
    name: 'GitExitError',
    ...ending,
  });
  addBranch(path, 'b', `tree ${tree}\nauthor A <a@x> 1 +0000\ncommitter C <c@x> -5 +0000\n\nx\n`);
  await assert.rejects(Array.fromAsync(listBranchTips(repository, QUERY)), {
    message: 'listing failed with exit code 128',
  });
});

test('a history that is cut has the parents that git shows', async () => {
  const { repository, path, tree } = createRepository();
  const parent = gitOutput(path, ['commit-tree', '-m', 'parent', tree]);
  addBranch(path, 'a', `tree ${tree}\nparent ${parent}\n${PEOPLE.join('\n')}\n\nx\n`);
  writeFileSync(join(path, 'shallow'), `${gitOutput(path, ['rev-parse', 'a'])}\n`);

  const [tip] = (await Array.fromAsync(listBranchTips(repository, QUERY))).flat();

  assert.deepEqual(tip?.parentOids, []);
});

test('a random commit is shown as git shows it, or left to git', async () => {
  const { repository, path, tree } = createRepository();
  const word = fc.constantFrom(
    'a',
    'A U Thor',
    '<a@x>',
    '<',
    '>',
    ' ',
    '1600000000',
    '+0000',
    '-0000',
    '-5',
    '007',
    '\t',
    'é',
    '\r',
    '',
  );
  const line = fc.array(word, { maxLength: 6 }).map((words) => words.join(' '));
  const message = fc.array(
    fc.constantFrom(
      'subject',
      '\n',
      '\n\n',
      '\r\n',
      '\r\n\r\n',
      ' ',
      'body',
      '-----BEGIN PGP SIGNATURE-----',
      'é',
    ),
    { maxLength: 8 },
  );
  const person = fc.oneof(line, fc.constantFrom('A <a@x> 1600000000 +0200', 'A B <> 1 -0330'));

  await fc.assert(
    fc.asyncProperty(person, person, message, async (author, committer, words) => {
      const data = Buffer.from(`tree ${tree}\nauthor ${author}\ncommitter ${committer}\n\n${words.join('')}`);
      addBranch(path, 'x', data);

      const fields = parsePlainCommit(data);

      if (fields === undefined) return;
      const expected = await outcome(askForBranchTips(repository, QUERY)());
      assert.deepEqual(await outcome(listBranchTips(repository, QUERY)), expected);
    }),
    { numRuns: 60 },
  );
});

test('truncated and damaged commits are plain or not, and never an endless search', () => {
  const data = Buffer.from(COMMITS.signed?.('a'.repeat(40)) ?? '');

  fc.assert(
    fc.property(
      fc.nat(data.length),
      fc.array(fc.tuple(fc.nat(data.length), fc.nat(255))),
      (length, edits) => {
        const bad = Buffer.from(data.subarray(0, length));
        for (const [at, byte] of edits) if (at < bad.length) bad[at] = byte;
        parsePlainCommit(bad);
      },
    ),
    { numRuns: 500 },
  );
  parsePlainCommit(Buffer.from(`tree ${'a'.repeat(40)}\nauthor ${'a '.repeat(200_000)}`));
});
