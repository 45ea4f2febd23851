import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test("the linguist data in the repository equal the generator's output", () => {
  const script = join(import.meta.dirname, 'generate-linguist.ts');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });

  assert.equal(status, 0, stderr);
});
