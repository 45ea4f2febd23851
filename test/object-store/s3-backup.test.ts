import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { startGitaly } from '#testkit/start-gitaly';
import { runRestore } from '#tools/backup/run-backup';
import { backUpAll, pruneBackups, verifyBackups } from '#tools/backup/stored-backups';

const vanityRepository = { storageName: 'group', relativePath: 'name.git' };
const original = { storageName: 'default', relativePath: 'x.git' };
const copy = { storageName: 'default', relativePath: 'a/copy.git' };

/** The references of a repository whose objects are complete. */
function stateOf(path: string): string {
  gitOutput(path, ['fsck', '--full', '--strict']);
  return gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);
}

test('backups in a bucket of S3 restore, and one that is missing has a clear error', async (context) => {
  await using s3 = await startS3Server();
  if (s3 === undefined) return context.skip('Go is not installed');
  const url = await s3.createBucket();
  await using gitaly = await startGitaly({
    config: { backup: { go_cloud_url: url, buffer_size: 6_000_000 } },
  });
  const { repository } = gitaly.connection;
  const backUp = (backupId: string, options: object = {}) =>
    repository.backupRepository({ repository: original, vanityRepository, backupId, ...options });
  const restore = (backupId: string) =>
    repository.restoreRepository({ repository: copy, vanityRepository, backupId });
  const path = initServed(gitaly, original.relativePath, { commits: 2 });
  writeFileSync(join(path, 'large'), randomBytes(14_000_000)); // three parts
  const blob = gitOutput(path, ['hash-object', '-w', join(path, 'large')]).trim();
  gitOutput(path, ['update-ref', 'refs/blobs/large', blob]);
  await backUp('one');
  addCommit(path, 3);
  await backUp('two', { incremental: true });

  await restore('two');

  assert.deepEqual(stateOf(join(gitaly.storagePath(), copy.relativePath)), stateOf(path));
  await assert.rejects(restore('none'), /manifest: find: read manifest: .*doesn't exist/);
  rmSync(s3.directory, { recursive: true });
  mkdirSync(s3.directory);
  await assert.rejects(backUp('three'), /s3 bucket "bucket-0": list ".*": NoSuchBucket: .*create the bucket/);
});

test('the programs for backups work with a bucket', async (context) => {
  await using s3 = await startS3Server();
  if (s3 === undefined) return context.skip('Go is not installed');
  const url = await s3.createBucket();
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'x.git', { commits: 3 });
  const references = gitOutput(path, ['for-each-ref']);
  const output: string[] = [];
  const console = { write: (text: string) => output.push(text) };
  const ended = { stdout: console, stderr: console, signal: new AbortController().signal };
  const backUp = (id: string) =>
    backUpAll(
      {
        connection: gitaly.connection,
        to: url,
        id,
        incremental: true,
        storage: 'default',
        jobs: 2,
        verify: true,
      },
      ended,
    );

  assert.deepEqual(
    [await backUp('one'), await backUp('two'), await backUp('three')],
    [0, 0, 0],
    output.join(''),
  );
  const retention = { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  assert.equal(await pruneBackups(url, { retention, isDryRun: false }, ended), 0);
  assert.equal(await verifyBackups(url, { id: '', repository: '' }, ended), 0, output.join(''));
  rmSync(path, { recursive: true });
  const job = { address: gitaly.address, storage_name: 'default', relative_path: 'x.git' };
  const restore = {
    path: url,
    id: '',
    parallel: 1,
    parallelStorage: 1,
    serverSide: false,
    removeAllRepositories: [],
  };
  await runRestore(restore, {
    logger: createLogger({ format: 'json', level: 'info', stream: console }),
    input: Readable.from([Buffer.from(JSON.stringify(job))]),
    environment: {},
    signal: ended.signal,
  });

  assert.equal(gitOutput(path, ['for-each-ref']), references);
});
