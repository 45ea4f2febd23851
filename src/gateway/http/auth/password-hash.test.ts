import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createToken, hashPassword, isSecretOf, parseSecretHash, type SecretHash } from './password-hash.ts';

function parsed(text: string): SecretHash {
  return parseSecretHash(text) ?? assert.fail(`${text} is not understood`);
}

test('a password matches only its own hash, and two hashes of it differ', async () => {
  const [one, other] = [await hashPassword('correct horse'), await hashPassword('correct horse')];

  assert.notEqual(one, other);
  assert.match(one, /^\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}\$[\w+/]{43}$/);
  assert.equal(await isSecretOf(parsed(one), 'correct horse'), true);
  assert.equal(await isSecretOf(parsed(other), 'correct horse'), true);
  assert.equal(await isSecretOf(parsed(one), 'correct hors'), false);
});

test('a hash of another tool is accepted (RFC 7914, section 12, third vector)', async () => {
  const digest =
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
    'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';
  const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
  const [salt, hash] = [base64(Buffer.from('SodiumChloride')), base64(Buffer.from(digest, 'hex'))];
  const text = `$scrypt$ln=14,r=8,p=1$${salt}$${hash}`;

  assert.equal(await isSecretOf(parsed(text), 'pleaseletmein'), true);
  assert.equal(await isSecretOf(parsed(text), 'pleaseletmeout'), false);
});

test('a token is stored as the output of sha256sum', async () => {
  const { hash, token } = createToken();

  assert.ok(Buffer.from(token, 'base64url').length >= 32);
  assert.equal(hash, `sha256:${createHash('sha256').update(token).digest('hex')}`);
  assert.equal(await isSecretOf(parsed(hash), token), true);
  assert.equal(await isSecretOf(parsed(hash), `${token}x`), false);
});

const SALT = 'A'.repeat(22);
const DIGEST = 'A'.repeat(43);
const REFUSED = [
  ['plain text', 'hunter2'],
  ['bcrypt', '$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC'],
  ['a short digest', 'sha256:abcd'],
  ['no salt', `$scrypt$ln=15,r=8,p=3$$${DIGEST}`],
  ['no digest', `$scrypt$ln=15,r=8,p=3$${SALT}$`],
  ['too much memory', `$scrypt$ln=18,r=8,p=1$${SALT}$${DIGEST}`],
  ['blocks too large', `$scrypt$ln=14,r=9,p=1$${SALT}$${DIGEST}`],
  ['too much time', `$scrypt$ln=17,r=8,p=4$${SALT}$${DIGEST}`],
  ['no cost at all', `$scrypt$ln=0,r=8,p=1$${SALT}$${DIGEST}`],
  ['no blocks', `$scrypt$ln=14,r=0,p=1$${SALT}$${DIGEST}`],
  ['no rounds', `$scrypt$ln=14,r=8,p=0$${SALT}$${DIGEST}`],
  ['too many rounds', `$scrypt$ln=1,r=8,p=17$${SALT}$${DIGEST}`],
] as const;

for (const cost of ['ln=1,r=1,p=1', 'ln=17,r=8,p=3', 'ln=14,r=8,p=16']) {
  test(`a hash of the cost ${cost} is accepted`, () => {
    assert.equal(parsed(`$scrypt$${cost}$${SALT}$${DIGEST}`).kind, 'scrypt');
  });
}

for (const [name, text] of REFUSED) {
  test(`${name} is not a hash`, () => {
    assert.equal(parseSecretHash(text), undefined);
  });
}
