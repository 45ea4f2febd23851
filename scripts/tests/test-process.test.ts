import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { processesIn } from '#testkit/measure/process-usage';
import { until } from '#testkit/until';

const HANGS = `import { test } from 'node:test';
  import { spawn } from 'node:child_process';
  test('hangs', async () => {
    spawn('sleep', ['600']);
    await new Promise(() => setInterval(() => {}, 100));
  });`;
const RUNNER = `import { TestProcess } from '${pathToFileURL(join(import.meta.dirname, 'test-process.ts'))}';
  const { signal } = new AbortController();
  const options = { timeoutMs: 600_000, env: process.env, nodeOptions: [], cwd: process.cwd(), signal };
  await new TestProcess(options).run('hangs.test.mjs');`;

test('nothing is left of a file of tests whose runner is killed', async (context) => {
  const cwd = mkdtempSync(join(tmpdir(), 'test-process-'));
  context.after(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, 'hangs.test.mjs'), HANGS);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = ['--conditions=source', '--input-type=module', '--eval', RUNNER];
  const runner = spawn(process.execPath, options, { cwd, env });
  await until(() => processesIn(cwd).some((command) => command.startsWith('sleep 600')));

  runner.kill('SIGKILL');

  await until(() => processesIn(cwd).length === 0);
  assert.equal(runner.signalCode, 'SIGKILL');
});
