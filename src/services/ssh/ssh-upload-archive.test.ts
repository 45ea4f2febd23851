import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nestDirectories } from '#testkit/repositories/generated/deep-trees';
import { FLUSH, packet } from '#testkit/repositories/push';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'r.git' };

// git 2.39 died of a segmentation fault, and the call reported it.
test('an archive of directories that are nested too deep for git has an error of its own', async () => {
  await using fixture = await StorageFixture.create();
  const deep = fixture.init('deep.git');
  await nestDirectories(deep, 5000);
  await using gitaly = await startGitaly();
  cpSync(deep.path, join(gitaly.storagePath(), 'r.git'), { recursive: true });
  const archive = async (...words: readonly string[]) => {
    const stdin = Buffer.from(words.map((word) => packet(`argument ${word}\n`)).join('') + FLUSH);
    await Array.fromAsync(gitaly.connection.ssh.sshUploadArchive([{ repository }, { stdin }]));
  };

  for (const words of [['ours'], ['--format', 'zip', 'ours'], ['--prefix=x/', 'ours:d/d']]) {
    await assert.rejects(archive(...words), {
      code: 'FAILED_PRECONDITION',
      message: 'running upload-archive: directories are nested deeper than 2048 levels',
    });
  }
  // any other failure is git's
  await assert.rejects(archive('--prefix', 'ours', 'none'), {
    code: 'INTERNAL',
    message: /^send: cmd wait: exit/,
  });
});
