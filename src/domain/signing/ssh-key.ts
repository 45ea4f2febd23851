import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  ECDSA_CURVES,
  ecdsaPrivateKey,
  ed25519PrivateKey,
  rsaPrivateKey,
  withoutLeadingZeros,
} from '#base/ssh/key-numbers';
import { SshFields, sshString } from '#base/ssh/ssh-fields';
import type { VerifyingKey } from '#base/ssh/ssh-signature';

const MAGIC = 'openssh-key-v1\0';
const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----';
const END = '-----END OPENSSH PRIVATE KEY-----';
const BASE64 = /^\s[A-Za-z0-9+/=\s]+$/;

export interface SshKey extends VerifyingKey {
  readonly privateKey: KeyObject;
}

/**
 * Reads an OpenSSH private key file.
 *
 * @throws {Error} `ssh: …` when the file is damaged, protected by a passphrase, or holds a key of
 *   another type.
 * @see OpenSSH: PROTOCOL.key
 */
export function parseSshKey(file: Buffer): SshKey {
  const text = file.toString('latin1');
  const end = text.indexOf(END);
  const body = text.slice(BEGIN.length, Math.max(0, end));
  if (!text.startsWith(BEGIN) || end === -1 || !BASE64.test(body)) throw new Error('ssh: no key found');
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw new Error('ssh: invalid openssh private key format');

  const fields = new SshFields(bytes.subarray(MAGIC.length));
  const cipher = fields.text();
  fields.string(); // name of the key derivation
  fields.string(); // its options
  if (fields.number() !== 1) throw new Error('ssh: multi-key files are not supported');
  fields.string(); // the public key, which is in the private one as well
  if (cipher !== 'none') throw new Error('ssh: this private key is passphrase protected');
  const secret = new SshFields(fields.string());
  const checks = [secret.number(), secret.number()];
  if (checks[0] !== checks[1]) throw new Error('ssh: malformed OpenSSH key');
  const type = secret.text();
  const { privateKey, publicFields } = readPrivateKey(type, secret);
  const publicBlob = Buffer.concat([type, ...publicFields].map(sshString));
  return { type, publicBlob, privateKey, publicKey: createPublicKey(privateKey) };
}

/** Reads the key, and the fields of its public half in their written form. */
function readPrivateKey(
  type: string,
  fields: SshFields,
): { privateKey: KeyObject; publicFields: readonly Buffer[] } {
  const number = (): Buffer => withoutLeadingZeros(fields.string());
  if (type === 'ssh-ed25519') {
    const publicKey = fields.string();
    return {
      privateKey: ed25519PrivateKey(fields.string().subarray(0, 32), publicKey),
      publicFields: [publicKey],
    };
  }
  if (type === 'ssh-rsa') {
    const [n, e, d, inverse, p, q] = [
      fields.string(),
      fields.string(),
      number(),
      number(),
      number(),
      number(),
    ];
    const numbers = { n: withoutLeadingZeros(n), e: withoutLeadingZeros(e), d, p, q, inverse };
    return { privateKey: rsaPrivateKey(numbers), publicFields: [e, n] };
  }
  const curve = ECDSA_CURVES[type.replace('ecdsa-sha2-', '')];
  if (curve === undefined)
    throw new Error('ssh: unhandled key type; signing keys are of type ed25519, rsa or ecdsa');
  const [name, point] = [fields.string(), fields.string()];
  return { privateKey: ecdsaPrivateKey(curve, number(), point), publicFields: [name, point] };
}
