import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { GitDirectory } from '../repository-files/git-directory.ts';
import { Git, type GitOptions } from './git.ts';
import { flag, gitCommand } from './git-command.ts';
import type { ProcessStart } from './process/start-process.ts';
import type { RunOptions } from './spawn-options.ts';

const directory = makeScratchDirectory('options');
after(() => rmSync(directory, { recursive: true }));
/** A git that prints its words and its environment, one a line. */
const program = join(directory, 'git');
writeFileSync(
  program,
  '#!/bin/sh\n[ "$1" = version ] && echo git version 2.50.0 && exit\nprintf "%s\\n" "$@"; env\n',
);
chmodSync(program, 0o755);

const REPOSITORY: GitDirectory = {
  path: '/r.git',
  objectDirectory: '/r.git/objects',
  alternateObjectDirectories: [],
  knownObjectFormat: 'sha256',
  knownReferenceBackend: 'reftable',
};
const COMMAND = gitCommand('rev-list', { options: [flag('--all')] });

/** Returns what git got. */
async function lines(options: RunOptions, given: Partial<GitOptions> = {}, command = COMMAND) {
  const git = await Git.start({ binary: program, ...given });
  return (await git.run(command, options)).toString().split('\n');
}

test('a command runs in its repository, or in a worktree', async () => {
  assert.deepEqual((await lines({ repository: REPOSITORY })).slice(0, 2), ['--git-dir', '/r.git']);
  assert.deepEqual((await lines({ repository: REPOSITORY, worktree: '/w' })).slice(0, 2), ['-C', '/w']);
  assert.equal((await lines({}))[0], '-c');
});

test('attributes come from the empty tree of the format, if git can and the format is known', async () => {
  const emptyTree = 'attr.tree=6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321';

  assert.ok((await lines({ repository: REPOSITORY })).includes(emptyTree));
  assert.ok(!(await lines({})).some((line) => line.startsWith('attr.tree')));
});

test('hooks are those of a directory, with its variables, or none', async () => {
  const command = gitCommand('update-ref', { options: [flag('--stdin')] });
  const hooks = { directory: '/hooks', env: { A: 'hook' } };

  const withHooks = await lines({ hooks, env: { A: 'call' } }, {}, command);
  const withNone = await lines({ hooks: 'disabled' }, {}, command);

  assert.ok(withHooks.includes('core.hooksPath=/hooks') && withHooks.includes('A=hook'));
  assert.ok(withNone.includes('core.hooksPath=/dev/null'));
  assert.ok(!(await lines({})).some((line) => line.startsWith('core.hooksPath')));
});

test('paths are literal if they are to be', async () => {
  const command = gitCommand('log', { paths: ['*'], literalPathspecs: true });

  assert.ok((await lines({}, {}, command)).includes('--literal-pathspecs'));
  assert.ok(!(await lines({})).includes('--literal-pathspecs'));
});

test('variables of the server are for its commands, and a call overrides them', async () => {
  const environment = (subcommand: string) => ({ A: subcommand, B: 'server' });

  const found = await lines({ env: { B: 'call' } }, { environment });

  assert.deepEqual(found.filter((line) => /^[AB]=/.test(line)).sort(), ['A=rev-list', 'B=call']);
});

test('secrets are in the environment, and count', async () => {
  const config = [
    { key: 'a.b', value: '1', secret: true },
    { key: 'c.d', value: '2' },
    { key: 'odd key', value: '3', secret: true },
  ];

  const found = await lines({ config });

  assert.deepEqual(
    found.filter((line) => line.startsWith('GIT_CONFIG_') && !/GLOBAL|SYSTEM/.test(line)).sort(),
    [
      'GIT_CONFIG_COUNT=2',
      'GIT_CONFIG_KEY_0=a.b',
      'GIT_CONFIG_KEY_1=odd key',
      'GIT_CONFIG_VALUE_0=1',
      'GIT_CONFIG_VALUE_1=3',
    ],
  );
  assert.ok(found.includes('c.d=2') && !found.includes('a.b=1'));
});

test('observers of the server and of the call learn what is started where', async () => {
  const starts: ProcessStart[] = [];
  const observer = (start: ProcessStart): undefined => void starts.push(start);

  await lines({ repository: REPOSITORY, observer }, { observer });

  const facts = starts.map(({ program: name, subcommand, repositoryPath, referenceBackend }) => ({
    name,
    subcommand,
    repositoryPath,
    referenceBackend,
  }));
  const fact = {
    name: 'git',
    subcommand: 'rev-list',
    repositoryPath: '/r.git',
    referenceBackend: 'reftable',
  };
  assert.deepEqual(facts, [fact, fact]);
});

test('the control group is chosen by the words and the repository', async () => {
  const asked: unknown[] = [];
  const controlGroup: GitOptions['controlGroup'] = (argv, repository) => {
    asked.push([argv[0], argv.at(-1), repository?.path]);
    return undefined;
  };

  await lines({ repository: REPOSITORY }, { controlGroup });

  assert.deepEqual(asked, [['git', '--all', '/r.git']]);
});

test('who may not start a process starts none, at once or later', async () => {
  const refusal = new Error('no');
  const starts: ProcessStart[] = [];
  const admission = { owner: () => undefined, admit: () => Promise.reject(refusal) };
  const observer = (start: ProcessStart): undefined => void starts.push(start);
  const git = await Git.start({ binary: program, admission, observer });

  await assert.rejects(git.run(COMMAND), refusal);
  await assert.rejects(git.spawnTurn(), refusal);

  assert.deepEqual(starts, []);
});

test('a command that has ended makes way for the next, before its time', async (context) => {
  const git = await Git.start({ binary: program });
  context.mock.timers.enable({ apis: ['setTimeout'] });

  for (let count = 0; count <= 4 * availableParallelism(); count++) await git.run(COMMAND);
});

test('a program that is not git is told by what it prints', async () => {
  await assert.rejects(Git.start({ binary: '/bin/echo' }), {
    message: '/bin/echo does not look like git: `git version` printed "version"',
  });
});

test('the version is what git says behind its name', async () => {
  assert.equal((await Git.start({ binary: program })).version, '2.50.0');
});
