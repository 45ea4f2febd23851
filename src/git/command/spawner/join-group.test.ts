import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { moveToGroup, throughShell } from './join-group.ts';
import type { ControlGroup, SpawnRequest } from './spawner.ts';

const directory = makeScratchDirectory('join');
after(() => rmSync(directory, { recursive: true }));

/** Ordinary directories in the place of a control group's, in which every write is seen. */
function makeGroup(...names: string[]): ControlGroup {
  const directories = names.map((name) => join(directory, name));
  for (const each of directories) mkdirSync(each, { recursive: true });
  return { directories, fd: undefined, path: 'group' };
}

function membersOf({ directories }: ControlGroup): string[] {
  return directories.map((each) => readFileSync(join(each, 'cgroup.procs'), 'latin1').trim());
}

const REQUEST: SpawnRequest = {
  file: '/bin/echo',
  argv: ['echo', 'a b', '$0', '-c'],
  env: {},
  cwd: undefined,
  stdin: 'ignore',
  stdout: 'pipe',
  stderr: 'pipe',
  extraPipes: 0,
};

for (const names of [['one'], ['cpu', 'memory']]) {
  test(`a program gets its own arguments after its shell has joined ${names.length} directories`, () => {
    const group = makeGroup(...names);

    const { file, argv, controlGroup, ...rest } = throughShell({ ...REQUEST, controlGroup: group }, group);
    const { status, stdout } = spawnSync(file, argv.slice(1).map(String), { encoding: 'utf8' });

    assert.deepEqual([status, stdout], [0, 'a b $0 -c\n']);
    assert.deepEqual(
      membersOf(group),
      names.map(() => '0'),
    );
    assert.equal(controlGroup, undefined);
    assert.equal(rest.stdout, 'pipe');
  });
}

test('nothing runs where the group is gone', () => {
  const group = { directories: [join(directory, 'gone')], fd: undefined, path: 'gone' };

  const { file, argv } = throughShell(REQUEST, group);
  const { status, stdout, stderr } = spawnSync(file, argv.slice(1).map(String), { encoding: 'utf8' });

  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /gone\/cgroup\.procs/);
});

test('a started process is moved to every directory of its group', (context) => {
  const kill = context.mock.method(process, 'kill', () => true);
  const group = makeGroup('three', 'four');

  moveToGroup(1234, group);

  assert.deepEqual(membersOf(group), ['1234', '1234']);
  assert.equal(kill.mock.callCount(), 0);
});

test('a process that cannot be moved is killed with its group', (context) => {
  const kill = context.mock.method(process, 'kill', () => true);

  moveToGroup(1234, { directories: [join(directory, 'gone')], fd: undefined, path: 'gone' });

  assert.deepEqual(
    kill.mock.calls.map((call) => call.arguments),
    [[-1234, 'SIGKILL']],
  );
});
