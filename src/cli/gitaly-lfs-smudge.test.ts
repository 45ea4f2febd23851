import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const PROGRAM = join(import.meta.dirname, 'gitaly-lfs-smudge.ts');

test('without a file to filter, the program says that git runs it', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=source', PROGRAM], {
    stdio: ['ignore', 'pipe', 'pipe'], // /dev/null, a device as a terminal is
    encoding: 'utf8',
  });

  assert.deepEqual(
    [status, stdout, stderr],
    [1, "Cannot read from STDIN. This command should be run by the Git 'smudge' filter\n", ''],
  );
});
