import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startInternalApi } from '#testkit/internal-api';
import { type RunResult, run } from '#testkit/run-program';

async function check(lines: string): Promise<RunResult> {
  const directory = mkdtempSync(join(tmpdir(), 'gitaly-check-'));
  try {
    mkdirSync(join(directory, 'storage'));
    const config = join(directory, 'config.toml');
    const base =
      `socket_path = "${directory}/s"\n[[storage]]\nname = "default"\n` + `path = "${directory}/storage"\n`;
    writeFileSync(config, base + lines);
    return await run(process.execPath, [
      '--conditions=source',
      join(import.meta.dirname, 'gitaly.ts'),
      'check',
      config,
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('gitaly check prints the details of GitLab', async () => {
  await using api = await startInternalApi();

  const { code, stdout } = await check(`[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n`);

  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n'), [
    'Checking GitLab API access: OK',
    'GitLab version: 19.0.0',
    'GitLab revision: abc',
    'GitLab Api version: v4',
    'Redis reachable for GitLab: true',
    'OK',
    '',
  ]);
});

test('gitaly check fails when GitLab fails, and prints the reason', async () => {
  await using api = await startInternalApi();
  api.reset({ '/check': [500, { message: 'database is down' }] });

  const { code, stdout, stderr } = await check(`[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n`);

  assert.equal(code, 1);
  assert.equal(stdout, 'Checking GitLab API access: FAILED\n');
  assert.match(stderr, /database is down/);
});

test('gitaly check prints the missing setting when no GitLab is configured', async () => {
  const { code, stderr } = await check('');

  assert.equal(code, 1);
  assert.match(stderr, /set url in \[gitlab\]/);
});
