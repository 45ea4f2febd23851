import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { MigrateReferenceBackendRequest_ReferenceBackend as Backend } from '#wire/gen/repository_pb';

const REPOSITORY = { storageName: 'default', relativePath: 'x.git' };
const config = '[transactions]\nenabled = true\n';

const skip = needsGit('refsMigrate');

test('a server that is killed while it migrates references loses none', { skip }, async (context) => {
  const directory = makeScratchDirectory('migrate-killed');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'default/x.git');
  initRepository(path, { commits: 2 });
  const random = seededRandom(testSeed());
  const tip = gitOutput(path, ['rev-parse', 'main']);
  const written = new Set(['refs/heads/main']);

  for (let round = 0; round < repetitions('MIGRATION_KILLS', { short: 2, long: 20 }); round++) {
    await using gitaly = await startGitalyProcess({ directory, config });
    const connection = await gitaly.connect();
    const ends = [migrate(connection), write(connection, { round, tip, written })];
    // Writes wait for migrations; the other kills may come before the first one is acknowledged.
    if (round === 0) await until(() => written.size > 1, 'a write is acknowledged');
    await delay(300 + 1_500 * random()); // a random moment of the migration
    gitaly.kill('SIGKILL');
    await gitaly.exited;
    await Promise.all(ends);
    // A git that survived the server may be about to write.
    const stored = new Set(gitOutput(path, ['for-each-ref', '--format=%(refname)']).split('\n'));
    assert.deepEqual(
      [...written].filter((name) => !stored.has(name)),
      [],
      `round ${round}`,
    );
  }

  await using gitaly = await startGitalyProcess({ directory, config });
  await until(() => !readdirSync(path).some((name) => /^ref_migration|\.lock$/.test(name)));
  const connection = await gitaly.connect();
  for (const targetReferenceBackend of [Backend.REFTABLE, Backend.FILES])
    await connection.repository.migrateReferenceBackend({ repository: REPOSITORY, targetReferenceBackend });
  assert.equal(readdirSync(path).includes('reftable'), false);
  assert.equal(gitOutput(path, ['fsck', '--strict']), '');
});

/** Migrates back and forth until the server is gone. */
async function migrate({ repository }: Connection): Promise<void> {
  for (let count = 0; ; count++) {
    const targetReferenceBackend = count % 2 === 0 ? Backend.REFTABLE : Backend.FILES;
    const request = { repository: REPOSITORY, targetReferenceBackend };
    if (await isGone(repository.migrateReferenceBackend(request))) return;
  }
}

/** Creates references until the server is gone, and notes those that it acknowledges. */
async function write(
  { repository }: Connection,
  { round, tip, written }: { round: number; tip: string; written: Set<string> },
): Promise<void> {
  for (let count = 0; ; count++) {
    const name = `refs/heads/round-${round}/${count}`;
    const request = { repository: REPOSITORY, ref: Buffer.from(name), revision: Buffer.from(tip) };
    if (await isGone(repository.writeRef(request))) return;
    written.add(name);
  }
}

/** @throws what is not the end of the server. */
async function isGone(call: Promise<unknown>): Promise<boolean> {
  return await call.then(
    () => false,
    (error: unknown) => {
      if (codeOf(error) !== 'UNAVAILABLE') throw error;
      return true;
    },
  );
}
