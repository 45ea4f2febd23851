import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { extent } from '#testkit/soak';
import { startGitaly } from '#testkit/start-gitaly';

const BLOB_MIB = extent('BLOB_MIB', { short: 48, long: 200 });
const LIMIT_MS = 120_000;

test(`a blob of ${BLOB_MIB} MiB is pushed and cloned through the HTTP gateway`, async () => {
  const directory = makeScratchDirectory('big-push');
  await using gitaly = await startGitaly();
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    createOnPush: { objectFormat: 'sha1' },
  });
  try {
    const work = join(directory, 'work');
    await runGit(['init', '-q', '-b', 'main', work]);
    writeNoise(join(work, 'big'));
    const options = { cwd: work, timeoutMs: LIMIT_MS };
    await runGit(['-c', 'core.compression=0', 'add', 'big'], options);
    await runGit(['commit', '-q', '-m', 'big'], options);

    await runGit(['-c', 'pack.compression=0', 'push', '-q', `${gateway.url}/big.git`, 'main'], options);
    await runGit(['clone', '-q', '--bare', `${gateway.url}/big.git`, join(directory, 'clone')], {
      timeoutMs: LIMIT_MS,
    });

    const [pushed, stored, cloned] = await Promise.all(
      [work, join(gitaly.storagePath(), 'big.git'), join(directory, 'clone')].map((cwd) =>
        runGit(['rev-parse', 'refs/heads/main', 'refs/heads/main:big'], { cwd }),
      ),
    );
    assert.equal(stored, pushed);
    assert.equal(cloned, pushed);
    await runGit(['fsck', '--strict'], { cwd: join(directory, 'clone'), timeoutMs: LIMIT_MS });
  } finally {
    await gateway.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

/** Writes an incompressible file. */
function writeNoise(path: string): void {
  const file = openSync(path, 'w');
  const piece = Buffer.alloc(1 << 20);
  for (let mib = 0; mib < BLOB_MIB; mib++) writeSync(file, randomFillSync(piece));
  closeSync(file);
}
