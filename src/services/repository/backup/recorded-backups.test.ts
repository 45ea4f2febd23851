import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeManifest } from '#domain/backup/manifest';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { startWithBackups } from '#testkit/start-with-backups';

/** Backups that Gitaly wrote; `fixtures/README.md` lists the requests. */
const RECORDED = join(import.meta.dirname, 'fixtures/recorded-backups');
const IDS = ['one', 'two', 'three'] as const;
const HOOK = '#!/bin/sh\n';

for (const objectFormat of ['sha1', 'sha256'] as const) {
  const vanityRepository = { storageName: 'default', relativePath: `${objectFormat}.git` };

  test(`the recorded backups of a ${objectFormat} repository are restored`, async () => {
    await using gitaly = await startWithBackups();
    cpSync(RECORDED, join(gitaly.directory, 'backups'), { recursive: true });

    for (const [index, backupId] of IDS.entries()) {
      const repository = { storageName: 'default', relativePath: `${backupId}.git` };
      await gitaly.connection.repository.restoreRepository({ repository, vanityRepository, backupId });

      const path = join(gitaly.storagePath(), repository.relativePath);
      const manifest = decodeManifest(
        readFileSync(join(RECORDED, `manifests/default/${objectFormat}.git/${backupId}.toml`), 'utf8'),
      );
      gitOutput(path, ['fsck', '--full', '--strict']);
      assert.equal(manifest.steps.length, index + 1);
      assert.equal(
        `${gitOutput(path, ['show-ref', '--head'])}\n`,
        readFileSync(join(RECORDED, manifest.steps.at(-1)?.refPath ?? ''), 'utf8'),
      );
      assert.deepEqual(
        [gitOutput(path, ['symbolic-ref', 'HEAD']), gitOutput(path, ['rev-parse', '--show-object-format'])],
        [manifest.headReference, manifest.objectFormat],
      );
      assert.equal(readFileSync(join(path, 'custom_hooks/pre-receive'), 'utf8'), HOOK);
    }
  });

  test(`backups of a ${objectFormat} repository have the files of the recorded ones`, async () => {
    await using gitaly = await startWithBackups();
    const repository = { storageName: 'default', relativePath: 'x.git' };
    const path = join(gitaly.storagePath(), 'x.git');
    const backUp = (backupId: string, incremental: boolean) =>
      gitaly.connection.repository.backupRepository({ repository, vanityRepository, backupId, incremental });

    initRepository(path, { commits: 1, objectFormat });
    gitOutput(path, ['tag', '-a', '-m', 'annotated', 'v1', 'main']);
    mkdirSync(join(path, 'custom_hooks'));
    writeFileSync(join(path, 'custom_hooks/pre-receive'), HOOK, { mode: 0o755 });
    await backUp('one', false);
    addCommit(path, 2);
    gitOutput(path, ['branch', 'other', 'main~1']);
    await backUp('two', true);
    await backUp('three', true);

    const written = join(gitaly.directory, 'backups');
    const names = filesOf(RECORDED).filter((name) => name.includes(`/${objectFormat}.git/`));
    assert.deepEqual(filesOf(written), names);
    for (const name of names)
      assert.deepEqual(contentOf(join(written, name)), contentOf(join(RECORDED, name)), name);
  });
}

function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/**
 * Returns what must be the same in a file: all of a manifest and of references, the header of a
 * bundle (its pack depends on git's version), the entries of an archive (without times).
 */
function contentOf(file: string): string {
  if (file.endsWith('.tar')) return outputSync('tar', ['-tf', file]).toString();
  const content = readFileSync(file, 'latin1');
  return file.endsWith('.bundle') ? (content.split('PACK', 1)[0] ?? '') : content;
}
