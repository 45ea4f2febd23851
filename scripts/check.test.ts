import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '#testkit/run-program';

test('all parts are run, and the output of the bad ones is shown', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'check-'));
  const scripts = { good: 'echo hidden', bad: 'echo broken; exit 3', worse: 'echo why >&2; exit 1' };
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ scripts }));
  const check = (...parts: string[]) =>
    run(process.execPath, [join(import.meta.dirname, 'check.ts'), ...parts], { cwd: directory });

  const mixed = await check('bad', 'good', 'worse');
  const clean = await check('good');
  rmSync(directory, { recursive: true });

  assert.equal(mixed.code, 1);
  assert.match(mixed.stdout, /^✖ bad: .* s\nbroken\n/m);
  assert.match(mixed.stdout, /^✖ worse: .* s\nwhy\n/m);
  assert.match(mixed.stdout, /^failed: (?:bad, worse|worse, bad); /m);
  assert.doesNotMatch(mixed.stdout, /hidden/);
  assert.equal(clean.code, 0);
  assert.match(clean.stdout, /^✔ good: .* s\n$/);
});
