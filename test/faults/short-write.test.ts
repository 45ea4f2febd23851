import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PackWriter } from '#git/objects/write/pack-writer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { fill, mountSmall, refusal, unmount } from './small-disk.ts';

test('a pack of which the disk takes a part is an error', { skip: refusal() }, async () => {
  const disk = makeScratchDirectory('short-write');
  assert.equal(mountSmall(disk, 1024 ** 2), undefined);
  try {
    await using writer = new PackWriter(disk, 'sha1');
    await writer.add({ oid: '1'.repeat(40), type: 'blob', data: Buffer.from('first') });
    fill(disk, 64 * 1024);

    const large = { oid: '2'.repeat(40), type: 'blob', data: randomBytes(256 * 1024) } as const;

    await assert.rejects(writer.add(large), { code: 'ENOSPC' });
    rmSync(join(disk, 'filler'));
  } finally {
    unmount(disk);
    rmSync(disk, { recursive: true });
  }
});
