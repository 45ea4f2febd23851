import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { privateKeyPem } from './private-key-pem.ts';

const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 1024 });
const { privateKey: ed25519 } = generateKeyPairSync('ed25519');

function isSameKey(pem: string | Buffer, key: KeyObject): boolean {
  return createPublicKey(createPrivateKey(pem)).equals(createPublicKey(key));
}

for (const [label, key, type] of [
  ['ECDSA PRIVATE KEY', ec, 'sec1'],
  ['ECDSA PRIVATE KEY', ec, 'pkcs8'],
  ['ED25519 PRIVATE KEY', ed25519, 'pkcs8'],
  ['ANY PRIVATE KEY', rsa, 'pkcs1'],
] as const) {
  test(`a key (${type}) with the label ${label} is accepted`, () => {
    const pem = key
      .export({ type, format: 'pem' })
      .toString()
      .replaceAll(/(?<=BEGIN |END ).*(?=-----)/g, label);

    assert.throws(() => createPrivateKey(pem));
    assert.ok(isSameKey(privateKeyPem(pem), key));
    assert.ok(
      isSameKey(
        privateKeyPem(
          Buffer.from(`-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n${pem}`),
        ),
        key,
      ),
    );
  });
}

test('any other text is left as it is', () => {
  for (const text of [
    '',
    'no key',
    ec.export({ type: 'sec1', format: 'pem' }).toString(),
    '-----BEGIN ECDSA PRIVATE KEY-----\nAAAA\n-----END ECDSA PRIVATE KEY-----\n',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  ])
    assert.equal(privateKeyPem(text), text);
});

test('a file of many beginnings without a key is read in little time', () => {
  const text = '-----BEGIN A PRIVATE KEY-----\nAAAA\n'.repeat(30_000);
  const before = process.threadCpuUsage();

  assert.equal(privateKeyPem(text), text);

  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 1_000_000, `${user} µs`);
});
