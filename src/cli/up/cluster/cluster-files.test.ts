import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openUpDirectory } from '../up-directory.ts';
import { clusterFiles, writeNodeFiles } from './cluster-files.ts';

/** Its path has to be short, unlike that of the directory for temporary files of all tests. */
const scratch = mkdtempSync('/tmp/up-');
after(() => rmSync(scratch, { recursive: true }));
const skip = process.getuid?.() !== 0 && 'needs root';

// PostgreSQL runs as another user then, who has to reach its socket.
test('root opens the directory of sockets that has a place of its own, and no other', { skip }, async () => {
  for (const [name, mode] of [
    ['short', 0o700],
    ['long'.repeat(30), 0o711],
  ] as const) {
    const path = join(scratch, name);
    mkdirSync(path, { mode: 0o700 });
    await using directory = await openUpDirectory(path, 'cluster');

    await writeNodeFiles(directory, await clusterFiles(directory, 2), { hasEvents: false, lfs: undefined });

    assert.equal(statSync(directory.socketDirectory).mode & 0o777, mode, name);
    assert.equal(statSync(path).mode & 0o777, 0o700);
  }
});
