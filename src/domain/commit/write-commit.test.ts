import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { calendarDate, type Ident } from '#git/objects/write/format-ident';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { type NewCommit, writeCommit } from './write-commit.ts';

const PERSON: Ident = {
  name: Buffer.from('Ann'),
  email: Buffer.from('a@x'),
  seconds: 1_700_000_000n,
  timezone: '+0100',
};

async function write(repository: Repository, commit: Partial<NewCommit>): Promise<string> {
  await using writer = new ObjectWriter(repository, repository.objectFormat);
  const treeOid = await writer.writeTree([]);
  const oid = await writeCommit(writer, {
    treeOid,
    parentOids: [],
    author: PERSON,
    committer: PERSON,
    message: Buffer.from('x'),
    ...commit,
  });
  await writer.finish();
  return oid;
}

/**
 * Returns the result of `git commit-tree`; environment variables are bytes, which the shell's `env`
 * can set.
 */
function gitsCommit(
  repository: Repository,
  { author, committer, message, parentOids }: NewCommit,
): { oid: string; stderr: string } {
  const assignments = [['AUTHOR', author] as const, ['COMMITTER', committer] as const].flatMap(
    ([who, ident]) => [
      `GIT_${who}_NAME=${octal(ident.name)}`,
      `GIT_${who}_EMAIL=${octal(ident.email)}`,
      `GIT_${who}_DATE='${calendarDate(ident)}'`,
    ],
  );
  const parents = parentOids.map((oid) => `-p ${oid}`).join(' ');
  const script = `${assignments.join('; ')}
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE
    export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
    exec git commit-tree ${parents} -F - $(git mktree </dev/null)`;
  const run = spawnSync('bash', ['-c', script], {
    cwd: repository.path,
    env: { ...process.env, ...GIT_ENVIRONMENT, LC_ALL: 'C' },
    input: message,
    encoding: 'utf8',
  });
  return { oid: run.stdout.trim(), stderr: run.stderr };
}

function octal(bytes: Uint8Array): string {
  return `$'${[...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}'`;
}

/** Reports whether a name begins or ends with a dot, which older versions of git remove. */
function hasOuterDot(name: Buffer): boolean {
  const letters = [...name].filter((code) => code > 0x20 && !`"',:;<>\\`.includes(String.fromCharCode(code)));
  return letters.at(0) === 0x2e || letters.at(-1) === 0x2e;
}

const byte = fc.integer({ min: 1, max: 255 });
const text = (options: { min: number }) =>
  fc
    .oneof(
      fc.array(byte, { minLength: options.min, maxLength: 12 }).map((list) => Buffer.from(list)),
      fc
        .string({ minLength: options.min, maxLength: 12, unit: 'grapheme' })
        .map((string) => Buffer.from(string)),
      fc.stringMatching(/^[ "',:;<>\\a]{1,8}$/).map((string) => Buffer.from(string)),
    )
    .filter((buffer) => !buffer.includes(0) && !hasOuterDot(buffer));
const ident = fc.record({
  name: text({ min: 1 }),
  email: text({ min: 0 }),
  seconds: fc.bigInt({ min: 0n, max: 4_102_000_000n }),
  timezone: fc.constantFrom('+0000', '+0545', '-0330', '+1400', '-1200'),
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a commit of a ${objectFormat} repository is that of git commit-tree`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat, commits: 2 });
    const [second = '', first = ''] = fixture.runGit(repository.path, ['rev-list', 'main']).split('\n');
    const parents = fc.constantFrom<string[]>([], [first], [second, first], [first, second, first]);
    const commit = fc.record({
      author: ident,
      committer: ident,
      message: text({ min: 0 }),
      parentOids: parents,
    });

    await fc.assert(
      fc.asyncProperty(commit, async (parts) => {
        const { oid, stderr } = gitsCommit(repository, { treeOid: '', ...parts });

        if (/disallowed characters/.test(stderr))
          await assert.rejects(write(repository, parts), { message: 'disallowed characters' });
        else if (/invalid date format/.test(stderr))
          await assert.rejects(write(repository, parts), { message: /invalid date format/ });
        else assert.equal(await write(repository, parts), oid, stderr);
      }),
      { numRuns: 12 },
    );
  });
}

const REFUSED: readonly [string, Partial<NewCommit>, string][] = [
  ['without an author', { author: { ...PERSON, name: Buffer.alloc(0) } }, 'missing author name'],
  ['without a committer', { committer: { ...PERSON, name: Buffer.alloc(0) } }, 'missing committer name'],
  ['without a tree', { treeOid: '' }, 'missing tree'],
  [
    'with a NUL in its message',
    { message: Buffer.from('a\0b') },
    'commit-tree: exit status 1: error: a NUL byte in commit log message not allowed.\n ',
  ],
  [
    'whose author has no letter in the name',
    { author: { ...PERSON, name: Buffer.from(' ,;') } },
    'disallowed characters',
  ],
  ...(
    [
      [-1n, '+0530', 'Thu Jan 01 1970 05:29:59 +0530'],
      [1n, '-0400', 'Wed Dec 31 1969 20:00:01 -0400'],
      [4_295_030_400n, '+0545', 'Mon Feb 08 2106 05:45:00 +0545'],
    ] as const
  ).map(([seconds, timezone, date]): [string, Partial<NewCommit>, string] => [
    `of ${date}`,
    { author: { ...PERSON, seconds, timezone } },
    `commit-tree: exit status 128: fatal: invalid date format: ${date}\n `,
  ]),
];

for (const [what, parts, message] of REFUSED) {
  test(`a commit ${what} is refused in git's words`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');

    await assert.rejects(write(repository, parts), { message });
  });
}

/**
 * Invalid UTF-8: too short, too long, surrogates, beyond Unicode, never used, truncated; and valid
 * neighbours of each.
 */
const BROKEN_UTF8 = [
  'c0af c1bf e08080 f0808080 f88888888080 fe ff 80 bf',
  'eda080 edbfbf ed9fbf ee8080 f4908080 f48fbfbd f48fbfbe',
  'efbfbe efbfbf efbfbd efb790 efb7af efb7b0 efb78f f09fbfbe f09fbfbf f09fbfbd',
  'c3 e2 e282 f0 f09f f09f98 c3a9 e282ac f09f9880 c3a9a9',
].join(' ');

test('text that is not UTF-8 is repaired as git repairs it', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const message = Buffer.concat(
    BROKEN_UTF8.split(' ').flatMap((hex) => [Buffer.from(hex, 'hex'), Buffer.from('|')]),
  );
  const parts = { author: PERSON, committer: PERSON, parentOids: [], treeOid: '', message };

  assert.equal(await write(repository, { message }), gitsCommit(repository, parts).oid);
});

test('a signature stands behind the headers, and git finds it there', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  let signed = '';

  const oid = await write(repository, {
    sign: async (commit) => {
      signed = commit.toString();
      return Buffer.from('-----BEGIN X-----\n\nabc\n-----END X-----\n');
    },
  });

  const raw = fixture.runGit(repository.path, ['cat-file', 'commit', oid]);
  assert.ok(raw.includes('\ngpgsig -----BEGIN X-----\n \n abc\n -----END X-----\n\nx'));
  assert.ok(!signed.includes('gpgsig'));
});
