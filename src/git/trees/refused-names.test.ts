import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isAtLeast } from '#git/command/capabilities';
import { GIT_ENVIRONMENT, testedGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { runSync } from '#testkit/run-program-sync';
import { isRefusedName } from './refused-names.ts';

const fixture = await StorageFixture.create();
const { path: cwd } = fixture.init('x.git');
after(() => fixture[Symbol.asyncDispose]());
/** Older versions check less when they write a tree. */
const isChecked = isAtLeast(testedGit(), { major: 2, minor: 40 });

const [FILE, LINK] = [0o100644, 0o120000];

/** Reports whether git refuses to write a tree with the entry. */
function isRefusedByGit(name: Buffer, mode: number): boolean {
  const input = Buffer.concat([
    Buffer.from(`${mode.toString(8)} `),
    name,
    Buffer.from('\0'),
    Buffer.alloc(20, 1),
  ]);
  return (
    runSync('git', ['hash-object', '-t', 'tree', '--stdin'], { cwd, env: GIT_ENVIRONMENT, input }).code !== 0
  );
}

const GIT = [
  '.git',
  '.GIT',
  'git~1',
  'GIT~1',
  '.git ',
  '.git.',
  '.git. .',
  '.git:x',
  '.git\\x',
  'x\\.git',
  '.g\u200cit',
];
const REFUSED = ['.', '..', '', 'a/b', ...GIT, 'x'.repeat(4097)];
const ACCEPTED = [
  'a',
  '.gi',
  '.gitx',
  'x.git',
  'git~2',
  'git',
  '...',
  '.a',
  'x'.repeat(4096),
  'a\\b',
  '.git~1',
  'l\u200cx',
];
/** Refused as links only. */
const LINKS = ['.gitmodules', '.GITMODULES', '.gitattributes', '.gitignore', '.mailmap', '.git\u200cmodules'];

const nameOf = (name: string): string => (name.length > 20 ? `${name.length} bytes` : JSON.stringify(name));

for (const [name, file, link] of [
  ...REFUSED.map((each) => [each, true, true] as const),
  ...ACCEPTED.map((each) => [each, false, false] as const),
  ...LINKS.map((each) => [each, false, true] as const),
])
  test(`${nameOf(name)} is refused as git refuses it`, () => {
    const bytes = Buffer.from(name);

    assert.deepEqual([isRefusedName(bytes, FILE), isRefusedName(bytes, LINK)], [file, link]);
    // The name of a file ends at NUL, and an empty one is malformed for all versions.
    if (isChecked) assert.deepEqual([isRefusedByGit(bytes, FILE), isRefusedByGit(bytes, LINK)], [file, link]);
  });

test('a name with NUL is refused', () => {
  assert.ok(isRefusedName(Buffer.from('a\0b'), FILE));
});
