import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { makeSampleRepository } from './sample-repository.ts';

test('the sample is made once, completed, and a repository that cannot be read is left alone', async () => {
  await using gitaly = await startGitaly();
  const sample = async (name: string): Promise<string> => {
    const repository = { storageName: 'default', relativePath: name, glRepository: name };
    await makeSampleRepository(gitaly.connection, repository, '# hello\n');
    return join(gitaly.storagePath(), name);
  };
  const repository = { storageName: 'default', relativePath: 'interrupted.git' };
  await gitaly.connection.repository.createRepository({ repository });
  mkdirSync(join(gitaly.storagePath(), 'damaged.git'));
  writeFileSync(join(gitaly.storagePath(), 'damaged.git/HEAD'), '');

  const complete = await sample('hello.git');
  const first = gitOutput(complete, ['rev-parse', 'main']);
  await sample('hello.git');
  await sample('damaged.git');

  assert.equal(gitOutput(complete, ['rev-parse', 'main']), first);
  assert.equal(gitOutput(await sample('interrupted.git'), ['show', 'main:README.md']), '# hello');
});
