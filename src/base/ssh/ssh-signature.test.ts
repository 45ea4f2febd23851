import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { sshString } from './ssh-fields.ts';
import { createSshSignature, isSshSignatureOf, signerOf } from './ssh-signature.ts';

const TEXT = Buffer.from('tree 1\n');

function makeKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const type = 'ssh-ed25519';
  const publicBlob = Buffer.concat([sshString(type), sshString(Buffer.from(x, 'base64url'))]);
  return { type, publicBlob, privateKey, publicKey };
}

/** Returns the bytes of an armoured signature. */
function bytesOf(armoured: Buffer): Buffer {
  return Buffer.from(armoured.toString().replaceAll(/^-.*$/gm, ''), 'base64');
}

function armoured(bytes: Buffer): Buffer {
  const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} SSH SIGNATURE-----\n`);
  return Buffer.from(`${begin}${bytes.toString('base64')}\n${end}`);
}

test('a signature names its key, which has signed only this text', async () => {
  const [key, other] = [makeKey(), makeKey()];
  const signature = await createSshSignature(key, TEXT);

  assert.deepEqual(signerOf(signature), key.publicBlob);
  assert.equal(isSshSignatureOf(key, TEXT, signature), true);
  assert.equal(isSshSignatureOf(key, TEXT, armoured(bytesOf(signature))), true);
  assert.equal(isSshSignatureOf(other, TEXT, signature), false);
  assert.equal(isSshSignatureOf(key, Buffer.from('tree 2\n'), signature), false);
});

// Users may write anything into a commit.
test('a truncated signature is of nobody, at any length', async () => {
  const key = makeKey();
  const bytes = bytesOf(await createSshSignature(key, TEXT));
  const behindKey = bytes.indexOf(key.publicBlob) + key.publicBlob.length;
  for (let length = 0; length < bytes.length; length++) {
    const cut = armoured(bytes.subarray(0, length));
    assert.equal(isSshSignatureOf(key, TEXT, cut), false);
    assert.deepEqual(signerOf(cut), length < behindKey ? undefined : key.publicBlob);
  }
});

test('what is no signature, or of another version, is of nobody', async () => {
  const key = makeKey();
  const signature = await createSshSignature(key, TEXT);
  const newer = bytesOf(signature);
  newer.writeUInt32BE(2, 'SSHSIG'.length);
  for (const other of [Buffer.alloc(0), TEXT, bytesOf(signature), armoured(newer), armoured(TEXT)]) {
    assert.equal(isSshSignatureOf(key, TEXT, other), false);
    assert.equal(signerOf(other), undefined);
  }
});
