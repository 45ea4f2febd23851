import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';

test('without a file to filter, the program says that git runs it', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, programCommand('gitaly-lfs-smudge'), {
    stdio: ['ignore', 'pipe', 'pipe'], // /dev/null, a device as a terminal is
    encoding: 'utf8',
  });

  assert.deepEqual(
    [status, stdout, stderr],
    [1, "Cannot read from STDIN. This command should be run by the Git 'smudge' filter\n", ''],
  );
});
