import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { subjectProblem } from './commit-subject.ts';

for (const subject of [
  'git/objects: reuse cat-file after a missing object',
  'client, gateway/http: process requests in order',
  'scripts/tests: embed seeds in reports',
  'git/command: re-read the configuration',
  'base: address review comments',
  'docs: mention the limits of streams',
  'ab: add '.padEnd(65, 'x'),
  'Merge branch "main"',
  'Revert "git: add a thing that is much too long to be a subject of this project"',
  'fixup! git: adds a thing',
])
  test(`the subject passes: ${subject}`, () => {
    assert.equal(subjectProblem(subject), undefined);
  });

for (const [subject, problem] of [
  ['ab: add '.padEnd(66, 'x'), '66 characters; the limit is 65'],
  ['Add a thing', 'begin with the changed module: git/objects: reuse cat-file …'],
  ['git:add a thing', 'begin with the changed module: git/objects: reuse cat-file …'],
  ['git: a lost vote is withdrawn', '“a” is no imperative verb: add, remove, rename, fix …'],
  ['git: adds a thing', '“adds” is no imperative verb: add, remove, rename, fix …'],
  ['git: added a thing', '“added” is no imperative verb: add, remove, rename, fix …'],
  ['git: adding things', '“adding” is no imperative verb: add, remove, rename, fix …'],
  ['git: Add a thing', '“Add” is no imperative verb: add, remove, rename, fix …'],
  ['git: errors of streams', '“errors” is no imperative verb: add, remove, rename, fix …'],
  ['git: completion of names', '“completion” is no imperative verb: add, remove, rename, fix …'],
  ['git: memory is returned', '“memory is” is a statement: begin with an imperative verb'],
] as const)
  test(`the subject is refused: ${subject}`, () => {
    assert.equal(subjectProblem(subject), problem);
  });

/** Environment of git for a repository of the test alone. */
const environment = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@x.test',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@x.test',
};

test('the hook refuses a commit with a wrong subject, and accepts one with a right subject', () => {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-subjects-'));
  try {
    const commit = (message: string) =>
      spawnSync('git', ['-C', root, 'commit', '--allow-empty', '-qm', message], {
        encoding: 'utf8',
        env: environment,
      });
    execFileSync('git', ['init', '-q', root], { env: environment });
    mkdirSync(join(root, 'scripts'));
    for (const name of ['hooks', 'check-subjects.ts', 'commit-subject.ts'])
      cpSync(join(import.meta.dirname, name), join(root, 'scripts', name), { recursive: true });
    execFileSync('git', ['-C', root, 'config', 'core.hooksPath', 'scripts/hooks'], { env: environment });

    const refused = commit('git: errors of streams');
    const accepted = commit('git: report errors of streams');

    assert.equal(refused.status, 1, refused.stderr);
    assert.match(refused.stderr, /commit-msg: git: errors of streams\n {2}“errors” is no imperative verb/);
    assert.equal(accepted.status, 0, accepted.stderr);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('subjects since a commit are checked; without that commit, or outside of a checkout, all passes', () => {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-subjects-'));
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', env: environment }).trim();
    const check = (base: string) =>
      spawnSync(process.execPath, [join(import.meta.dirname, 'check-subjects.ts'), '--base', base], {
        encoding: 'utf8',
        cwd: root,
        env: { ...environment, GIT_CEILING_DIRECTORIES: tmpdir() },
      });
    const outside = check('HEAD');
    git('init', '-q');
    git('commit', '--allow-empty', '-qm', 'old words');
    const base = git('rev-parse', 'HEAD');
    git('commit', '--allow-empty', '-qm', 'git: add a thing');
    const passing = check(base);
    git('commit', '--allow-empty', '-qm', 'git: things');
    const refused = check(base);
    const unknown = check('0123456789012345678901234567890123456789');

    assert.deepEqual([outside.status, outside.stdout], [0, 'subjects: 0 commits\n']);
    assert.deepEqual([passing.status, passing.stdout], [0, 'subjects: 1 commits\n']);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^[0-9a-f]+: git: things\n/);
    assert.deepEqual([unknown.status, unknown.stdout], [0, 'subjects: 0 commits\n']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
