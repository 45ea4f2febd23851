import assert from 'node:assert/strict';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { collectOutput } from '#git/command/collect-output';
import { startProcess } from '#git/command/process/start-process';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';
import type { ControlGroup } from '#git/command/spawner/spawner';
import { realGroups } from './real-groups.ts';

const available = realGroups();

async function start(script: string, options: { controlGroup: ControlGroup; startsNone: boolean }) {
  return startProcess({
    spawner: await chooseSpawner(),
    file: '/bin/sh',
    argv: ['sh', '-c', script, 'sh', 'an argument', Buffer.of(0xff)],
    env: { PATH: '/usr/bin:/bin' },
    program: 'sh',
    subcommand: '',
    repositoryPath: undefined,
    observers: [],
    stdin: 'pipe',
    ...options,
  });
}

for (const startsNone of [false, true]) {
  test(`a program that starts ${startsNone ? 'none' : 'others'} joins every hierarchy of a group`, {
    skip: available.length === 0 && 'no control group is writable',
  }, async () => {
    for (const openGroups of available) {
      using groups = openGroups();
      const directories = groups.roots.map((root) => join(root, 'one'));
      for (const directory of directories) mkdirSync(directory);
      const [directory = ''] = directories;
      const fd = groups.version === 2 ? openSync(directory, 'r') : undefined;

      const run = await start('read line; echo "$1$2$line"; cat /proc/self/cgroup', {
        controlGroup: { directories, fd, path: 'one' },
        startsNone,
      });
      const lines = (await collectOutput(run, { maxBytes: 4096, input: '!\n' }))
        .toString('latin1')
        .split('\n');

      assert.equal(lines[0], 'an argument\xff!');
      const joined = lines.filter((line) => line.endsWith(`/${groups.hierarchyRoot}/one`));
      assert.equal(joined.length, directories.length, lines.join('\n'));
    }
  });

  test(`one that starts ${startsNone ? 'none' : 'others'} does not run when its group is gone`, async () => {
    const controlGroup = { directories: ['/nowhere/group'], fd: undefined, path: 'group' };

    const run = await start('read line; sleep 100', { controlGroup, startsNone });

    await assert.rejects(run.succeeded(), startsNone ? /signal: killed/ : /exit status 2/);
  });
}
