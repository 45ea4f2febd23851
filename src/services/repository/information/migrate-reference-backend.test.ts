import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { MigrateReferenceBackendRequest_ReferenceBackend as Backend } from '#wire/gen/repository_pb';

// Expected text: the recordings of Gitaly 19.0 without transactions.
test('without transactions the format of references stays', async () => {
  await using gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'x.git' };
  initRepository(join(gitaly.storagePath(), 'x.git'), { commits: 1 });

  await assert.rejects(
    gitaly.connection.repository.migrateReferenceBackend({
      repository,
      targetReferenceBackend: Backend.REFTABLE,
    }),
    { code: 'INTERNAL', message: 'transaction not found' },
  );
});
