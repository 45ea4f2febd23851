import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { processesIn } from '#testkit/process-usage';
import { runGit } from '#testkit/repositories/run-git';
import { until } from '#testkit/until';

/**
 * Time after which a process that is signalled to end, and a directory that is being removed, are
 * gone.
 */
const GONE_AFTER_MS = 5_000;
/** Processes that the server keeps for some seconds for the next call. */
const POOLED = / (cat-file --batch|update-ref .*--stdin)/;
const OBJECT_DIRECTORY = /^(info|pack|[0-9a-f]{2})$/;
const PACK_FILE =
  /^(pack-[0-9a-f]+\.(pack|idx|rev|bitmap|mtimes)|multi-pack-index(-[0-9a-f]+\.(rev|bitmap))?)$/;

/** Returns the names and values of all references, one per line. */
export async function refsOf(directory: string): Promise<string> {
  return await runGit(['-C', directory, 'for-each-ref', '--format=%(refname) %(objectname)']);
}

/** Checks that a call has left a sound repository, and no temporary files, locks or processes. */
export async function assertSound(storage: string, directory: string): Promise<void> {
  const fsck = await runGit(['-C', directory, 'fsck', '--strict', '--no-dangling']);
  assert.equal(fsck, '', 'git fsck');
  const leftNow = (): string[] => left(storage, directory);
  await until(
    () => leftNow().length === 0,
    () => `these are left: ${leftNow().join(', ')}`,
    GONE_AFTER_MS,
  );
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
