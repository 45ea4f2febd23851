import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { run } from '#testkit/run-program';

const ROOT = join(import.meta.dirname, '../..');
/** The module of the others, and the example that needs no server. */
const WITHOUT_ARGUMENTS = new Set(['arguments.ts', 'embed-a-server.ts']);
const examples = globSync('examples/*.ts', { cwd: ROOT })
  .sort()
  .filter((path) => !WITHOUT_ARGUMENTS.has(basename(path)));

// Most dialed the address '' and printed a stack; one printed nothing.
test('an example without its arguments prints how it is used', async (context) => {
  assert.ok(examples.length >= 18);
  for (const path of examples)
    await context.test(path, async () => {
      const { code, stdout, stderr } = await run(process.execPath, ['--conditions=source', path], {
        cwd: ROOT,
      });

      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, new RegExp(`^usage: node ${path} [A-Z]+( \\S+)*\n$`));
    });
});
