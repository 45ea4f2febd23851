import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Secret } from '#base/secret';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitConfigKey, keyPairProblem } from './checks.ts';

const CERTIFICATE = join(import.meta.dirname, '../../testkit/fixtures/tls-certificate.pem');
const KEY = join(import.meta.dirname, '../../testkit/fixtures/tls-key.pem');
const directory = makeScratchDirectory('checks');
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test('a certificate and its key match, with the key as a file or as text', () => {
  assert.equal(keyPairProblem(CERTIFICATE, { path: KEY }), undefined);
  const relabelled = readFileSync(KEY, 'utf8').replaceAll(
    /(?<=BEGIN |END ).*(?=-----)/g,
    'ECDSA PRIVATE KEY',
  );
  assert.equal(keyPairProblem(CERTIFICATE, { pem: new Secret(relabelled) }), undefined);
  assert.equal(keyPairProblem(CERTIFICATE, { pem: new Secret(readFileSync(KEY, 'utf8')) }), undefined);
});

test("errors in a certificate or a key have Gitaly's text", () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  const text = file('text', 'no PEM\n');
  const missing = join(directory, 'missing');

  assert.deepEqual(
    [
      keyPairProblem(text, { path: KEY }),
      keyPairProblem(CERTIFICATE, { path: text }),
      keyPairProblem(CERTIFICATE, { path: file('other', String(other)) }),
      keyPairProblem(missing, { path: KEY }),
      keyPairProblem(KEY, { path: CERTIFICATE }),
      keyPairProblem(CERTIFICATE, { path: CERTIFICATE }),
    ],
    [
      'loading x509 keypair: tls: failed to find any PEM data in certificate input',
      'loading x509 keypair: tls: failed to find any PEM data in key input',
      'loading x509 keypair: tls: private key does not match public key',
      `loading x509 keypair: open ${missing}: no such file or directory`,
      'loading x509 keypair: tls: failed to find certificate PEM data in certificate input, but did find a ' +
        'private key; PEM inputs may have been switched',
      'loading x509 keypair: tls: found a certificate rather than a key in the PEM for the private key',
    ],
  );
});

for (const [key, problem] of [
  ['core.abbrev', undefined],
  ['http.https://example.com/a-b_c:8080.proxy', undefined],
  ['', 'not set'],
  ['core', 'key "core" must contain at least one section'],
  ['core.x=y', 'key "core.x=y" cannot contain "="'],
  ['.core.x', 'key ".core.x" must not start or end with a dot'],
  ['core.x y', 'key "core.x y" failed regexp validation'],
] as const) {
  test(`the git setting ${JSON.stringify(key)} is ${problem === undefined ? 'fine' : 'refused'}`, () => {
    assert.equal(gitConfigKey(key), problem);
  });
}
