import { createPublicKey, type webcrypto } from 'node:crypto';
import { ECDSA_CURVES, withoutLeadingZeros } from './key-numbers.ts';
import { SshFields } from './ssh-fields.ts';
import type { VerifyingKey } from './ssh-signature.ts';

/** Reads a public key in SSH's encoding. @returns `undefined` for a damaged key, and for other types. */
export function parseSshPublicKey(publicBlob: Buffer): VerifyingKey | undefined {
  try {
    const fields = new SshFields(publicBlob);
    const type = fields.text();
    const key = jwkOf(type, fields);
    return key && { type, publicBlob, publicKey: createPublicKey({ key, format: 'jwk' }) };
  } catch {
    return undefined; // truncated, or numbers that make no key
  }
}

function jwkOf(type: string, fields: SshFields): webcrypto.JsonWebKey | undefined {
  if (type === 'ssh-ed25519') return { kty: 'OKP', crv: 'Ed25519', x: encoded(fields.string()) };
  if (type === 'ssh-rsa') {
    const [e, n] = [fields.string(), fields.string()].map(withoutLeadingZeros);
    return e && n && { kty: 'RSA', e: encoded(e), n: encoded(n) };
  }
  const curve = ECDSA_CURVES[type.replace('ecdsa-sha2-', '')];
  if (curve === undefined) return undefined;
  fields.string(); // its name again
  const point = fields.string(); // 4, x, y
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  return { kty: 'EC', crv: curve.crv, x: encoded(x), y: encoded(y) };
}

function encoded(number: Buffer): string {
  return number.toString('base64url');
}
