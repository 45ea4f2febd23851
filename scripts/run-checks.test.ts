import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '#testkit/run-program';

const check = (...names: readonly string[]) =>
  run(process.execPath, [join(import.meta.dirname, 'run-checks.ts'), ...names]);

test('the named checks are run on the project, and an unknown one is refused', async () => {
  const known = await check('names', 'waits');
  const unknown = await check('names', 'no-such-check');

  assert.match(known.stdout, /^names: \d+ exports\nwaits: \d+ in \d+ files\n$/);
  assert.equal(known.code, 0, known.stderr);
  assert.match(unknown.stderr, /there is no check no-such-check: layers, sizes, /);
  assert.equal(unknown.code, 1);
});
