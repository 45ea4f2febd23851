import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { flag, gitCommand } from '#git/command/git-command';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { runRepack } from './run-repack.ts';

test('the packs of an aborted repack are removed, and no other files', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 3 });
  const packs = `${repository.path}/objects/pack`;
  const abort = new AbortController();
  // git waits for its contents: it cannot end before it is aborted.
  spawnSync('mkfifo', [`${repository.path}/objects/info/alternates`]);

  const repack = runRepack(repository, gitCommand('repack', { options: ['-a', '-d'].map(flag) }), {
    signal: abort.signal,
    // As its pack-objects leaves them when both are ended before it receives their names.
    observer: ({ pid }) => {
      for (const name of [`.tmp-${pid}-pack-1.pack`, `.tmp-${pid}-pack-1.rev`, `.tmp-${pid}1-pack-1.pack`])
        writeFileSync(`${packs}/${name}`, '');
      abort.abort();
      return undefined;
    },
  });

  await assert.rejects(repack);
  const left = readdirSync(packs).filter((name) => name.startsWith('.tmp-'));
  assert.equal(left.length, 1);
  assert.match(left[0] ?? '', /^\.tmp-\d+1-pack-1\.pack$/);
});
