import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly } from '#testkit/start-gitaly';
import { MigrateReferenceBackendRequest_ReferenceBackend as Backend } from '#wire/gen/repository_pb';

// Expected text: the recordings of Gitaly 19.0 without transactions.
test('without transactions the format of references stays', async () => {
  await using gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'x.git' };
  initServed(gitaly, 'x.git', { commits: 1 });

  await assert.rejects(
    gitaly.connection.repository.migrateReferenceBackend({
      repository,
      targetReferenceBackend: Backend.REFTABLE,
    }),
    { code: 'INTERNAL', message: 'transaction not found' },
  );
});

test('a client that wants it migrates references without transactions', async () => {
  await using gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'x.git' };
  const path = initServed(gitaly, 'x.git', { commits: 1 });
  const metadata = { 'x-gitaly-migrate-references': 'true' };
  const migrate = (targetReferenceBackend: Backend) =>
    gitaly.connection.repository.migrateReferenceBackend(
      { repository, targetReferenceBackend },
      { metadata },
    );

  await migrate(Backend.FILES);
  await assert.rejects(migrate(Backend.UNSPECIFIED), { message: 'target reference backend not set' });
  if (needsGit('refsMigrate')) return;
  const { time } = await migrate(Backend.REFTABLE);
  assert.ok(Number(time?.seconds) < 60 && Number(time?.nanos) > 0);
  assert.equal(gitOutput(path, ['rev-parse', '--show-ref-format']), 'reftable');
});

const skip = needsGit('refsMigrate');

test('the nodes of a cluster vote on a migration, and a refused one changes nothing', { skip }, async () => {
  await using gitaly = await startGitaly({ config: { transactions: { enabled: true } } });
  await using voting = await startVotingServer(gitaly.address);
  const repository = { storageName: 'default', relativePath: 'x.git' };
  const path = initServed(gitaly, 'x.git', { commits: 1 });
  const format = () => gitOutput(path, ['rev-parse', '--show-ref-format']);
  const migrate = (targetReferenceBackend: Backend) =>
    voting.connection.repository.migrateReferenceBackend(
      { repository, targetReferenceBackend },
      { metadata: voting.metadata() },
    );

  voting.decide = ({ phase }) => (phase === 'PREPARED_PHASE' ? 'ABORT' : 'COMMIT');
  await assert.rejects(migrate(Backend.REFTABLE), /transaction was aborted/);
  assert.deepEqual([format(), readdirSync(path).includes('reftable')], ['files', false]);

  voting.decide = () => 'COMMIT';
  await migrate(Backend.REFTABLE);
  assert.equal(format(), 'reftable');
  assert.deepEqual(
    voting.votes.map(({ phase }) => phase),
    ['PREPARING', 'PREPARED', 'PREPARING', 'PREPARED', 'COMMITTED'].map((phase) => `${phase}_PHASE`),
  );
  assert.equal(new Set(voting.votes.map(({ hash }) => hash)).size, 1);
});
