import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeSshKey, NO_OPENSSH } from '#testkit/clients/ssh-client';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { loadSshLibrary, type SshLibrary } from '../ssh-library.ts';
import { openHostKey } from './host-key.ts';
import { newEd25519Key } from './openssh-key.ts';

const library = await loadSshLibrary();

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('host-key');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('callers that come together get one key, and leave no other file', async (context) => {
  const directory = scratch(context);
  const path = join(directory, 'key');

  const keys = await Promise.all(Array.from({ length: 8 }, () => openHostKey(path, library)));

  const fingerprints = new Set(keys.map(({ fingerprint }) => fingerprint));
  assert.equal(fingerprints.size, 1);
  assert.deepEqual(new Set([(await openHostKey(path, library)).fingerprint]), fingerprints);
  assert.deepEqual(readdirSync(directory), ['key']);
});

test('the fingerprint is the one that ssh-keygen prints', { skip: NO_OPENSSH }, async (context) => {
  const { path } = await makeSshKey(join(scratch(context), 'key'), 'host');

  const { fingerprint, key } = await openHostKey(path, library);

  assert.equal((await run('ssh-keygen', ['-lf', path])).stdout.split(' ')[1], fingerprint);
  assert.equal(key.type, 'ssh-ed25519');
});

test('a file that is no private key is refused with the reason', async (context) => {
  const path = join(scratch(context), 'key');
  writeFileSync(path, newEd25519Key().public, { mode: 0o600 });
  await assert.rejects(openHostKey(path, library), {
    message: `${path} is a public key; the gateway needs the private key`,
  });

  const parseKey = (() => []) as unknown as SshLibrary['utils']['parseKey'];
  const empty = { ...library, utils: { ...library.utils, parseKey } };
  await assert.rejects(openHostKey(path, empty), {
    message: `${path} is not a private key without a passphrase: it is empty`,
  });
});

test('of several keys in a file the first one is used', async (context) => {
  const path = join(scratch(context), 'key');
  writeFileSync(path, newEd25519Key().private, { mode: 0o600 });
  const { fingerprint } = await openHostKey(path, library);
  const other = library.utils.parseKey(newEd25519Key().private);
  const parseKey = ((text: string) => [library.utils.parseKey(text), other]) as unknown;
  // The library returns a list for some formats; its type does not say so.
  const utils = { ...library.utils, parseKey: parseKey as SshLibrary['utils']['parseKey'] };

  assert.equal((await openHostKey(path, { ...library, utils })).fingerprint, fingerprint);
});

test('a path that cannot be read or created is an error of the system', async (context) => {
  const directory = scratch(context);

  await assert.rejects(openHostKey(directory, library), { code: 'EISDIR' });
  await assert.rejects(openHostKey(join(directory, 'none', 'key'), library), { code: 'ENOENT' });
});
