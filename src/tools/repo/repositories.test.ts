import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { Repositories } from './repositories.ts';

test('a removal that fails halfway names the repositories that are removed', async () => {
  await using gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  for (const name of ['a.git', 'c.git']) initRepository(path(name));
  const repositories = new Repositories(gitaly.connection, 'default');

  await assert.rejects(repositories.remove(['a.git', 'b.git', 'c.git']), {
    code: 'NOT_FOUND',
    message: /^removed a\.git, but not b\.git, c\.git: /,
  });

  assert.deepEqual([existsSync(path('a.git')), existsSync(path('c.git'))], [false, true]);
  await assert.rejects(repositories.remove(['b.git']), { message: /^(?!removed)/ });
});
