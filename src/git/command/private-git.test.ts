// Own process: it awaits before its first test, which run() does not wait for in a used process

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { askGit } from './ask-git.ts';
import { findProgram } from './find-program.ts';
import { privateCopy } from './private-git.ts';
import { chooseSpawner } from './spawner/choose-spawner.ts';
import { SpawnError, type Spawner } from './spawner/spawner.ts';

const directory = makeScratchDirectory('private');
after(() => rmSync(directory, { recursive: true }));
const spawner = await chooseSpawner();
const git = { binary: findProgram('git'), inherited: { PATH: process.env.PATH ?? '' } };
let count = 0;

/** Returns an empty directory, and a list of reported problems. */
function place(): { parent: string; problems: string[]; onProblem: (error: string) => void } {
  const parent = join(directory, String(count++));
  mkdirSync(parent);
  const problems: string[] = [];
  return { parent, problems, onProblem: (error) => void problems.push(error) };
}

test('the copy runs, finds its programs in its own directory, and links the rest', async () => {
  const { problems, ...options } = place();
  const originals = await askGit(git, '--exec-path', spawner);

  const copy = await privateCopy(git, spawner, options);

  assert.ok(copy !== undefined);
  const own = dirname(copy.binary);
  assert.deepEqual(problems, []);
  assert.deepEqual(copy.inherited, { ...git.inherited, GIT_EXEC_PATH: own });
  assert.equal(await askGit(copy, '--exec-path', spawner), own);
  assert.deepEqual(readFileSync(copy.binary), readFileSync(git.binary));
  for (const name of ['git', 'git-remote-http'])
    assert.ok(lstatSync(join(own, name)).isFile(), `${name} is a file of its own`);
  // The same program in git's directory as git-remote-http.
  assert.equal(readlinkSync(join(own, 'git-remote-https')), 'git-remote-http');
  for (const name of ['git-receive-pack', 'git-upload-pack'])
    assert.equal(readlinkSync(join(own, name)), 'git');
  assert.equal(existsSync(join(own, 'git-log')), false, 'git itself serves it');
  assert.equal(readlinkSync(join(own, 'git-submodule')), join(originals, 'git-submodule'));
});

test('without a wish for a copy, and where the operator has chosen the programs, there is none', async () => {
  const { parent, problems, onProblem } = place();
  const inherited = { ...git.inherited, GIT_EXEC_PATH: '/elsewhere' };

  assert.equal(await privateCopy(git, spawner, undefined), undefined);
  assert.equal(await privateCopy({ ...git, inherited }, spawner, { parent, onProblem }), undefined);

  assert.deepEqual([readdirSync(parent), problems], [[], []]);
});

test('a script is not copied, because it may lead anywhere', async () => {
  const { parent, problems, onProblem } = place();
  const script = join(directory, 'git-script');
  writeFileSync(script, `#!/bin/sh\nexec ${git.binary} "$@"\n`);
  chmodSync(script, 0o755);

  const copy = await privateCopy({ ...git, binary: script }, spawner, { parent, onProblem });

  assert.deepEqual([copy, readdirSync(parent), problems], [undefined, [], []]);
});

test('a copy that cannot be made is a problem that is told, and leaves nothing', async () => {
  const { problems, onProblem } = place();
  const nowhere = join(directory, 'nowhere');

  assert.equal(await privateCopy(git, spawner, { parent: nowhere, onProblem }), undefined);

  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /ENOENT/);
});

test('a directory of programs that cannot be read is a problem, and leaves nothing', async () => {
  const { parent, problems, onProblem } = place();
  // It reports that its directory is `--exec-path`, which is none.
  const binary = findProgram('echo');

  assert.equal(await privateCopy({ ...git, binary }, spawner, { parent, onProblem }), undefined);

  assert.deepEqual(readdirSync(parent), []);
  assert.match(problems[0] ?? '', /ENOENT.*--exec-path/);
});

test('a copy that may not run where it is, is a problem', async () => {
  const { parent, problems, onProblem } = place();
  // As on a file system that is mounted with `noexec`.
  const noexec: Spawner = {
    name: spawner.name,
    spawn: (request) => {
      if (request.file.startsWith(parent)) throw new SpawnError(request.file, 'EACCES');
      return spawner.spawn(request);
    },
  };

  assert.equal(await privateCopy(git, noexec, { parent, onProblem }), undefined);

  assert.match(problems.join(), /^fork\/exec .*git: permission denied$/);
});
