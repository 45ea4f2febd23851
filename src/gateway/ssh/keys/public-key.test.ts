import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { weaknessOf } from './public-key.ts';

/** Encodes a key. @see RFC 4253, 6.6 */
function encodedKey(type: string, ...fields: readonly Uint8Array[]): { type: string; data: Buffer } {
  const encoded = [Buffer.from(type), ...fields].flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, field];
  });
  return { type, data: Buffer.concat(encoded) };
}

const E = Buffer.from([1, 0, 1]);

/** Returns a number with this many bits, as multiple-precision integers are written. @see RFC 4251, 5 */
function numberOf(bits: number): Buffer {
  const digits = ((1n << BigInt(bits)) - 1n).toString(16);
  const bytes = Buffer.from(digits.padStart(2 * Math.ceil(digits.length / 2), '0'), 'hex');
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
}

test('RSA keys have at least 2048 bits, without the zeros before the number', () => {
  for (const bits of [2048, 2049, 2056, 3072, 4096])
    assert.equal(weaknessOf(encodedKey('ssh-rsa', E, numberOf(bits))), undefined, `${bits}`);
  for (const bits of [1024, 2040, 2041, 2047])
    assert.equal(
      weaknessOf(encodedKey('ssh-rsa', E, numberOf(bits))),
      'RSA keys need at least 2048 bits',
      `${bits}`,
    );
  const padded = Buffer.concat([Buffer.alloc(200), numberOf(1024)]);
  assert.equal(weaknessOf(encodedKey('ssh-rsa', E, padded)), 'RSA keys need at least 2048 bits');
  assert.equal(weaknessOf(encodedKey('ssh-rsa', E, Buffer.alloc(300))), 'RSA keys need at least 2048 bits');
  assert.equal(weaknessOf(encodedKey('ssh-rsa', E)), 'RSA keys need at least 2048 bits');
});

test('a generated RSA key is accepted', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { n = '' } = publicKey.export({ format: 'jwk' });

  const key = encodedKey('ssh-rsa', E, Buffer.concat([Buffer.alloc(1), Buffer.from(n, 'base64url')]));

  assert.equal(weaknessOf(key), undefined);
});

test('keys of Edwards and NIST curves are accepted, others refused', () => {
  for (const type of ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'])
    assert.equal(weaknessOf(encodedKey(type, Buffer.alloc(32))), undefined);
  for (const type of ['ssh-dss', 'ssh-ed448', 'ssh-rsa-cert-v01@openssh.com'])
    assert.equal(weaknessOf(encodedKey(type)), `keys of type ${type} are not accepted`);
});

test('a key whose data have another type, or are cut off, is refused', () => {
  const message = 'it is not a key of type ssh-ed25519';
  const { data } = encodedKey('ssh-ed25519', Buffer.alloc(32));
  assert.equal(weaknessOf({ type: 'ssh-ed25519', data }), undefined);
  assert.equal(weaknessOf({ type: 'ssh-ed25519', data: encodedKey('ssh-rsa').data }), message);
  for (const length of [0, 3, 4, 14])
    assert.equal(weaknessOf({ type: 'ssh-ed25519', data: data.subarray(0, length) }), message, `${length}`);
  assert.equal(weaknessOf({ type: 'ssh-ed25519', data: data.subarray(0, 15) }), undefined);
});
