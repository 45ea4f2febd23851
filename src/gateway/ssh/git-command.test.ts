import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGitCommand } from './git-command.ts';

test("git's three commands are parsed, in both spellings", () => {
  for (const name of ['upload-pack', 'receive-pack', 'upload-archive']) {
    const expected = { service: `git-${name}`, path: 'group/hello.git' };

    assert.deepEqual(parseGitCommand(`git-${name} 'group/hello.git'`), expected);
    assert.deepEqual(parseGitCommand(`git ${name} 'group/hello.git'`), expected);
  }
});

const PATHS: readonly (readonly [string, string])[] = [
  ["'/hello.git'", 'hello.git'],
  ["'//hello.git'", 'hello.git'],
  ["'/group/hello.git/'", 'group/hello.git'],
  ["'hello'", 'hello.git'],
  ['hello.git', 'hello.git'],
  ["'~ann/hello.git'", '~ann/hello.git'],
  ["'it'\\''s.git'", "it's.git"],
  ["'wow'\\!'.git'", 'wow!.git'],
  ["'a b%20.git'", 'a b%20.git'],
  ["'grün.git'", 'grün.git'],
  ["'$(id).git'", '$(id).git'],
];

for (const [argument, path] of PATHS) {
  test(`the argument ${argument} means ${path}`, () => {
    assert.deepEqual(parseGitCommand(`git-upload-pack ${argument}`), { service: 'git-upload-pack', path });
  });
}

const REFUSED = [
  '',
  'ls',
  'sh -c id',
  'git',
  'git-upload-pack',
  "git-upload-pack ''",
  "git-shell 'a.git'",
  "git-lfs-authenticate 'a.git' download",
  "git-upload-pack 'a.git' 'b.git'",
  "git-upload-pack 'a.git'; id",
  "git-upload-pack 'a.git",
  'git-upload-pack a.git b.git',
  'git-upload-pack $(id)',
  'git-upload-pack `id`',
  'git-upload-pack a.git;id',
  "git-upload-pack --strict 'a.git'",
  "git-upload-pack '--strict'",
  "git-upload-pack '../a.git'",
  "git-upload-pack '/../etc/a.git'",
  "git-upload-pack '/'",
  "git-upload-pack '/a//b.git'",
  "git-upload-pack 'a/./b.git'",
  "git-upload-pack '+gitaly/a.git'",
  "git-upload-pack '.ssh/a.git'",
  "git-upload-pack 'a\0.git'",
  "git-upload-pack 'a\n.git'",
  "git-upload-pack 'a.git/b.git'",
  `git-upload-pack '${'a'.repeat(300)}'`,
  `git-upload-pack '${'a/'.repeat(8192)}'`,
  "GIT-UPLOAD-PACK 'a.git'",
  " git-upload-pack 'a.git'",
];

for (const command of REFUSED) {
  test(`the command ${JSON.stringify(command.slice(0, 40))} is refused`, () => {
    const parsed = parseGitCommand(command);

    assert.ok('refusal' in parsed, JSON.stringify(parsed));
    assert.match(parsed.refusal, /\.$/);
  });
}

test('the refusal of an unknown command names all that are served', () => {
  const ofGit = 'git-upload-pack, git-receive-pack and git-upload-archive with a repository';

  assert.deepEqual(parseGitCommand('id'), { refusal: `Only ${ofGit} are allowed here.` });
  assert.deepEqual(parseGitCommand('id', ['help', 'repo']), {
    refusal: `Only ${ofGit}, and the commands help, repo are allowed here.`,
  });
});

for (const command of [
  "git-lfs-authenticate 'a.git' download",
  'git-lfs-authenticate a.git upload',
  "git-lfs-transfer 'a.git' upload",
  'git lfs-authenticate a.git download',
  'git-lfs-transfer',
])
  test(`the refusal of ${command} names LFS`, () => {
    const parsed = parseGitCommand(command);

    assert.ok('refusal' in parsed);
    assert.match(parsed.refusal, /^Files of Git LFS are not sent over SSH\. .* lfs\.url .*\.$/);
  });
