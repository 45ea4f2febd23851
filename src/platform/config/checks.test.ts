import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Secret } from '#base/secret';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { addressProblem, gitConfigKey, keyPairProblem, urlProblem } from './checks.ts';

const CERTIFICATE = join(import.meta.dirname, '../../testkit/fixtures/tls-certificate.pem');
const KEY = join(import.meta.dirname, '../../testkit/fixtures/tls-key.pem');
const directory = makeScratchDirectory('checks');
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test('a certificate and its key fit together, the key as a file or as text', () => {
  assert.equal(keyPairProblem(CERTIFICATE, { path: KEY }), undefined);
  assert.equal(keyPairProblem(CERTIFICATE, { pem: new Secret(readFileSync(KEY, 'utf8')) }), undefined);
});

test('what is wrong with a certificate or a key is said in the words of Gitaly', () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  const text = file('text', 'no PEM\n');
  const missing = join(directory, 'missing');

  assert.deepEqual(
    [
      keyPairProblem(text, { path: KEY }),
      keyPairProblem(CERTIFICATE, { path: text }),
      keyPairProblem(CERTIFICATE, { path: file('other', String(other)) }),
      keyPairProblem(missing, { path: KEY }),
    ],
    [
      'loading x509 keypair: tls: failed to find any PEM data in certificate input',
      'loading x509 keypair: tls: failed to find any PEM data in key input',
      'loading x509 keypair: tls: private key does not match public key',
      `loading x509 keypair: open ${missing}: no such file or directory`,
    ],
  );
});

for (const [address, problem] of [
  ['localhost:9999', undefined],
  [':0', undefined],
  ['[::1]:80', undefined],
  ['localhost', 'address localhost: missing port in address'],
  ['::1:80', 'address ::1:80: too many colons in address'],
  ['localhost:http', 'address localhost:http: invalid port'],
  ['localhost:65536', 'address localhost:65536: invalid port'],
] as const) {
  test(`the address ${address} is ${problem === undefined ? 'fine' : 'refused'}`, () => {
    assert.equal(addressProblem(address), problem);
  });
}

for (const [url, problem] of [
  ['http://127.0.0.1:8080/gitlab', undefined],
  ['http+unix://%2Fhome%2Fgit%2Fworkhorse.socket', undefined],
  ['s3://bucket?region=eu', undefined],
  ['relative/path', undefined],
  ['ht!tp://%zz', 'parse "ht!tp://%zz": first path segment in URL cannot contain colon'],
  ['http://host/%zz', 'parse "http://host/%zz": invalid URL escape "%zz"'],
  ['http://host:port/', 'parse "http://host:port/": invalid port ":port" after host'],
  ['://host', 'parse "://host": missing protocol scheme'],
  ['http://a\nb', 'parse "http://a\\nb": net/url: invalid control character in URL'],
] as const) {
  test(`the URL ${JSON.stringify(url)} is ${problem === undefined ? 'fine' : 'refused'}`, () => {
    assert.equal(urlProblem(url), problem);
  });
}

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
