import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { settingPath } from '#domain/settings/kept-settings';
import { startGitaly } from '#testkit/start-gitaly';

// Symptom: each push with files of Git LFS failed with "the setting was changed meanwhile".
test('ids that were changed by hand are replaced if they are empty, and else reported', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository();
  const { settings } = gitaly.connection;
  const file = settingPath(join(gitaly.storagePath(), repository.relativePath), 'lfs-ids');
  mkdirSync(dirname(file), { recursive: true });
  const set = () => settings.setLfsIds({ repository, ids: ['own'] });

  writeFileSync(file, 'no id\n');
  await assert.rejects(set(), {
    code: 'FAILED_PRECONDITION',
    message: /lfs-ids of the repository has no id/,
  });
  writeFileSync(file, '\n');

  assert.deepEqual((await set()).ids, ['own']);
});
