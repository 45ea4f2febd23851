import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { run } from '#testkit/run-program';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';

const PROGRAM = join(import.meta.dirname, '../bin/gitaly-ts');
const SMALL_REPOSITORIES = 100;
const LARGE_BYTES = 100 * 1024 ** 2;
const MAX_BYTES = 150 * 1024 ** 2;
/** Prints the memory of the process at the end. Its `maxRSS` would be at least that of this one. */
const REPORT =
  `import { readFileSync } from 'node:fs';` +
  `process.on('exit', () => console.error(readFileSync('/proc/self/status', 'latin1')))`;

test('a backup of many repositories, one of them large, takes less than 150 MiB', async (context) => {
  await using gitaly = await startGitalyProcess();
  const storage = join(gitaly.directory, 'default');
  const first = join(storage, '0.git');
  initRepository(first, { commits: 1 });
  for (let number = 1; number < SMALL_REPOSITORIES; number++)
    cpSync(first, join(storage, `${number}.git`), { recursive: true });
  const large = join(storage, 'large.git');
  initRepository(large, { commits: 1 });
  gitOutput(large, ['config', 'pack.compression', '0']); // to compress takes half of the test's time
  const script = `head -c ${LARGE_BYTES} /dev/urandom | git -c core.compression=0 hash-object -w --stdin`;
  const { code: made, stdout } = await run('sh', ['-c', script], { cwd: large });
  assert.equal(made, 0);
  gitOutput(large, ['tag', 'large', stdout.trim()]);
  // The bundle then takes the object as it is, instead of compressing it.
  gitOutput(large, ['-c', 'core.compression=0', 'repack', '-adq']);
  const to = `${pathToFileURL(join(gitaly.directory, 'backups'))}`;

  const { code, stderr } = await run(PROGRAM, ['backup', 'create', gitaly.address, '--to', to], {
    env: { ...process.env, NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(REPORT)}` },
  });

  assert.equal(code, 0, stderr);
  const peak = Number(/^VmHWM:\s*(\d+) kB/m.exec(stderr)?.[1]) * 1024;
  context.diagnostic(`${Math.round(peak / 1024 ** 2)} MiB`);
  assert.ok(peak < MAX_BYTES, `${peak} bytes`);
});
