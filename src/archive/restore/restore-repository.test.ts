import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Publisher } from '#generations/repository/publisher';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { OpenRepositories } from '../publish/open-repositories.ts';
import { findState, restoreState } from './restore-repository.ts';

const directory = makeScratchDirectory('restore-repository');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();

test('a state whose packs lack an object is not restored', async () => {
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, 'bucket')).href, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start({ predecessorEnded: true });
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('source.git');
  const blob = fixture.runGit(path, ['hash-object', '-w', '--stdin'], 'content');
  const tree = fixture.runGit(path, ['mktree'], `100644 blob ${blob}\tfile\n`);
  const commit = fixture.runGit(path, ['commit-tree', '-m', 'message', tree]);
  const repositories = new OpenRepositories({ bucket, writer });
  const publish = async (name: string, oids: readonly string[]): Promise<void> => {
    const archived = await repositories.create(Date.now());
    const pack = outputSync('git', ['-C', path, 'pack-objects', '--stdout', '-q'], {
      input: oids.join('\n'),
    });
    await new Publisher(archived.owned).publish({
      changes: [{ name: 'refs/heads/main', new: commit }],
      settings: { path: name },
      newObjects: async () => ({ inline: pack }),
    });
    await repositories.name(name, archived);
  };
  await publish('whole.git', [commit, tree, blob]);
  await publish('lacking.git', [commit, tree]);
  const restore = async (name: string): Promise<void> => {
    const target = { storageName: 'default', relativePath: name };
    const found = await findState(bucket, name, undefined);
    await restoreState(found, { bucket, storages: fixture.storages, target, replaces: false, signal });
  };

  await restore('whole.git');
  await assert.rejects(restore('lacking.git'), { code: 'DATA_LOSS' });

  assert.equal(fixture.runGit(join(fixture.storage.path, 'whole.git'), ['rev-parse', 'main']), commit);
  assert.equal(existsSync(join(fixture.storage.path, 'lacking.git')), false);
});
