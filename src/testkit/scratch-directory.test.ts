import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory, reapScratchDirectories } from './scratch-directory.ts';
import { setVariable } from './set-variable.ts';

/** A pid above Linux's maximum. */
const DEAD = 2 ** 22 + 1;

test('old directories of dead processes are removed, and everything else stays', () => {
  const parent = makeScratchDirectory('reaped');
  try {
    const place = /-([0-9a-f]{6})-\d+-\w{6}$/.exec(parent)?.[1];
    const kept = [
      `gitaly-test-${place}-${process.pid}-abcdef`,
      `gitaly-young-000000-${DEAD}-abcdef`,
      `gitaly-test-${DEAD}-abcdef`,
      `gitaly-${DEAD}`,
      'gitaly-test-abcdef',
    ];
    for (const name of [
      `gitaly-new-${place}-${DEAD}-abcdef`,
      `gitaly-two-words-000000-${DEAD}-ABC123`,
      ...kept,
    ]) {
      mkdirSync(join(parent, name, 'sub'), { recursive: true });
      const twoHoursAgo = Date.now() / 1000 - 2 * 3600;
      if (!/young|new/.test(name)) utimesSync(join(parent, name), twoHoursAgo, twoHoursAgo);
    }

    reapScratchDirectories(parent);

    assert.deepEqual(readdirSync(parent).sort(), kept.sort());
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});

test('below a directory with a long name a server would have no sockets, so /tmp is used', (context) => {
  const outer = mkdtempSync('/tmp/gitaly-');
  const long = join(outer, 'x'.repeat(40));
  mkdirSync(long);
  context.after(() => rmSync(outer, { recursive: true }));
  setVariable(context, 'TMPDIR', outer);
  const placed = [outer, long].map((parent) => {
    process.env.TMPDIR = parent;
    const path = makeScratchDirectory('test');
    rmSync(path, { recursive: true });
    return dirname(path);
  });

  assert.deepEqual(placed, [realpathSync(outer), realpathSync('/tmp')]);
});
