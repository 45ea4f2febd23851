import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { trustedCertificates } from './trusted-certificates.ts';

test('certificates of the environment are trusted in addition to the others', async (context) => {
  const directory = makeScratchDirectory('certificates');
  context.after(() => rmSync(directory, { recursive: true }));
  const pem = readFileSync(TEST_CERTIFICATE, 'utf8');
  writeFileSync(join(directory, 'one.pem'), pem);
  writeFileSync(join(directory, 'README'), 'no certificate');
  mkdirSync(join(directory, 'sub.pem'));

  const common = await trustedCertificates({});
  const ofFile = await trustedCertificates({ SSL_CERT_FILE: TEST_CERTIFICATE });
  const ofDirectory = await trustedCertificates({ SSL_CERT_DIR: directory, SSL_CERT_FILE: '' });

  assert.ok(common.length > 0 && common.every((text) => text.includes('-----BEGIN')));
  assert.deepEqual(ofFile, [...common, pem]);
  assert.deepEqual(ofDirectory, [...common, pem]);
  assert.deepEqual(await trustedCertificates({ SSL_CERT_DIR: '' }), common);
});

test('a file or directory that cannot be read is an error', async () => {
  await assert.rejects(trustedCertificates({ SSL_CERT_FILE: '/nowhere/a.pem' }), { code: 'ENOENT' });
  await assert.rejects(trustedCertificates({ SSL_CERT_DIR: '/nowhere' }), { code: 'ENOENT' });
});
