import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn } from '#testkit/process-usage';
import { runGit } from '#testkit/run-git';

/** A process that was told to end, and a directory that is being removed, are gone by then. */
const GONE_AFTER_MS = 5_000;
/** What the server keeps for the next call, for some seconds. */
const POOLED = / (cat-file --batch|update-ref .*--stdin)/;
const OBJECT_DIRECTORY = /^(info|pack|[0-9a-f]{2})$/;
const PACK_FILE = /^pack-[0-9a-f]+\.(pack|idx|rev)$/;

/** Names and values of all references, one a line. */
export async function refsOf(directory: string): Promise<string> {
  return await runGit(['-C', directory, 'for-each-ref', '--format=%(refname) %(objectname)']);
}

/** Checks that a call has left a sound repository, and nothing else: no temporary files, no locks, no processes. */
export async function assertSound(storage: string, directory: string): Promise<void> {
  const fsck = await runGit(['-C', directory, 'fsck', '--strict', '--no-dangling']);
  assert.equal(fsck, '', 'git fsck');
  const limit = performance.now() + GONE_AFTER_MS;
  while (left(storage, directory).length > 0 && performance.now() < limit) await sleep(10);
  assert.deepEqual(left(storage, directory), []);
}

function left(storage: string, directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return [
    ...namesIn(join(storage, '+gitaly/tmp')),
    ...files.filter((name) => /\.lock$|\/tmp_|incoming-|worktree/.test(name)),
    ...namesIn(join(directory, 'objects')).filter((name) => !OBJECT_DIRECTORY.test(name)),
    ...namesIn(join(directory, 'objects/pack')).filter((name) => !PACK_FILE.test(name)),
    ...processesIn(directory).filter((line) => !POOLED.test(line)),
  ];
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
