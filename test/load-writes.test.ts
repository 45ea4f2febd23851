import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDescriptors, processesIn, residentBytes } from '#testkit/measure/process-usage';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { Ledger } from './load-writes/ledger.ts';
import { BRANCHES, pushUntil, repository, SHARED, writeUntil } from './load-writes/writers.ts';

const SECONDS = repetitions('LOAD_SECONDS', { short: 4, long: 60 });
const WRITERS = 32;
const PUSHERS = 2;
/** Idle processes of pools live ten seconds. */
const GONE_AFTER_MS = 20_000;
const DESCRIPTORS_LEFT = 3;
/** Allowed growth after the caches are full; the collector has not run then. */
const GROWTH_BYTES = 96 * 1024 ** 2;

test('with 32 writers and pushes between, each accepted change is in the history once', async (context) => {
  await using gitaly = await startGitalyProcess();
  const storage = join(gitaly.directory, 'default');
  const directory = join(storage, repository.relativePath);
  const start = makeRepository(directory);
  const ledger = new Ledger(start);
  const clients = await Promise.all(Array.from({ length: WRITERS }, () => gitaly.connect()));
  await Promise.all(
    clients.map((client) => client.ref.refExists({ repository, ref: Buffer.from('refs/heads/main') })),
  );
  const descriptors = openDescriptors(gitaly.pid);

  const endsAt = performance.now() + SECONDS * 1000;
  const writers = clients.map((client, number) =>
    writeUntil(endsAt, { client, directory, ledger, number, random: seededRandom(number) }),
  );
  const pushers = Array.from({ length: PUSHERS }, (_, number) =>
    pushUntil(endsAt, {
      directory,
      ledger,
      number,
      address: gitaly.address,
      work: join(gitaly.directory, `work-${number}`),
    }),
  );
  let warm = 0;
  const warmUp = setTimeout(() => (warm = residentBytes(gitaly.pid)), (SECONDS * 1000) / 3);
  await Promise.all([...writers, ...pushers]).finally(() => clearTimeout(warmUp));
  const grown = residentBytes(gitaly.pid) - warm;

  for (const line of ledger.summary()) context.diagnostic(line);
  ledger.assertKept(directory);
  assert.ok(ledger.accepted(SHARED) > 0, 'nothing was accepted on the branch that all write to');
  assert.equal(gitOutput(directory, ['fsck', '--strict', '--no-dangling']), '');
  const left = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.lock$|incoming-|tmp_/.test(name),
  );
  assert.deepEqual([...left, ...readdirSync(join(storage, '+gitaly/tmp'))], []);

  await until(
    () => processesIn(storage).length === 0,
    () => `${processesIn(storage)}`,
    GONE_AFTER_MS,
  );
  context.diagnostic(`${Math.round(grown / 1024 ** 2)} MiB more than when warm`);
  assert.ok(
    openDescriptors(gitaly.pid) <= descriptors + DESCRIPTORS_LEFT,
    `${openDescriptors(gitaly.pid)} of ${descriptors}`,
  );
  assert.ok(grown < GROWTH_BYTES, `${Math.round(grown / 1024 ** 2)} MiB`);
});

/** Creates a repository with all branches at one commit. Returns its id. */
function makeRepository(directory: string): string {
  initRepository(directory, { commits: 1 });
  const oid = gitOutput(directory, ['rev-parse', 'main']);
  const names = Array.from({ length: BRANCHES }, (_, number) => `create refs/heads/many/${number} ${oid}\n`);
  gitOutput(directory, ['update-ref', '--stdin'], names.join(''));
  gitOutput(directory, ['pack-refs', '--all']);
  return oid;
}
