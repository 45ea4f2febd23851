import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { run } from '#testkit/run-program';
import { newEd25519Key } from './openssh-key.ts';

test('ssh-keygen reads the private key, derives the public one from it and signs with it', {
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
      const signed = await run('ssh-keygen', ['-Y', 'sign', '-f', path, '-n', 'file'], { input: 'text' });
      writeFileSync(`${path}.sig`, signed.stdout);
      const check = ['-Y', 'check-novalidate', '-n', 'file', '-s', `${path}.sig`];
      const checked = await run('ssh-keygen', check, { input: 'text' });
      assert.equal(checked.code, 0, signed.stderr + checked.stderr);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
