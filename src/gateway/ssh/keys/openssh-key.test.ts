import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '#testkit/run-program';
import { NO_OPENSSH } from '#testkit/ssh-client';
import { newEd25519Key } from './openssh-key.ts';

test('ssh-keygen reads the private key and derives the public one from it', {
  skip: NO_OPENSSH,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'openssh-key-'));
  try {
    for (let length = 0; length < 9; length++) {
      const key = newEd25519Key('c'.repeat(length)); // each length of the padding
      const path = join(directory, String(length));
      writeFileSync(path, key.private, { mode: 0o600 });

      const { code, stdout } = await run('ssh-keygen', ['-y', '-f', path]);

      assert.deepEqual([code, stdout.trim()], [0, key.public]);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
