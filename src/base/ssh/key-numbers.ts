import { createPrivateKey, createPublicKey, type KeyObject, sign, verify, type webcrypto } from 'node:crypto';
import { attempt } from '../attempt.ts';

/** Removes leading zeros from a number, as formats of keys and signatures require. */
export function withoutLeadingZeros(bigEndian: Buffer): Buffer {
  const first = bigEndian.findIndex((byte) => byte !== 0);
  return first === -1 ? Buffer.alloc(0) : bigEndian.subarray(first);
}

/** Pads a number to an exact number of bytes. @throws {Error} when it needs more. */
export function padded(bigEndian: Buffer, length: number): Buffer {
  const digits = withoutLeadingZeros(bigEndian);
  if (digits.length > length) throw new Error('a number is too large');
  return Buffer.concat([Buffer.alloc(length - digits.length), digits]);
}

/** Numbers of an RSA key, big-endian; `inverse` is the inverse of `q` modulo `p`. */
export interface RsaNumbers {
  readonly n: Buffer;
  readonly e: Buffer;
  readonly d: Buffer;
  readonly p: Buffer;
  readonly q: Buffer;
  readonly inverse: Buffer;
}

/** @throws {Error} when the numbers make no key. */
export function rsaPrivateKey({ n, e, d, p, q, inverse }: RsaNumbers): KeyObject {
  const dp = bytesOf(numberOf(d) % (numberOf(p) - 1n));
  const dq = bytesOf(numberOf(d) % (numberOf(q) - 1n));
  return privateKey('RSA', { n, e, d, p, q, dp, dq, qi: inverse });
}

/** @param seed the 32 bytes that RFC 8032 calls private key. */
export function ed25519PrivateKey(seed: Buffer, publicKey: Buffer): KeyObject {
  return privateKey('OKP', { d: padded(seed, 32), x: publicKey }, 'Ed25519');
}

/** Curves of ECDSA keys by the name that SSH has for them. */
export const ECDSA_CURVES: Readonly<
  Record<string, { readonly crv: string; readonly bytes: number; readonly hash: string }>
> = {
  nistp256: { crv: 'P-256', bytes: 32, hash: 'sha256' },
  nistp384: { crv: 'P-384', bytes: 48, hash: 'sha384' },
  nistp521: { crv: 'P-521', bytes: 66, hash: 'sha512' },
};

/** @param point the public key, not compressed: 4, x, y. */
export function ecdsaPrivateKey(
  { crv, bytes }: { readonly crv: string; readonly bytes: number },
  d: Buffer,
  point: Buffer,
): KeyObject {
  if (point[0] !== 4 || point.length !== 1 + 2 * bytes)
    throw new Error('the public key is no point of its curve');
  const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)];
  return privateKey('EC', { d: padded(d, bytes), x, y }, crv);
}

function privateKey(kty: string, numbers: Readonly<Record<string, Buffer>>, crv?: string): KeyObject {
  const encoded = Object.entries(numbers).map(([name, number]) => [name, number.toString('base64url')]);
  const key: webcrypto.JsonWebKey = {
    kty,
    ...(crv !== undefined && { crv }),
    ...Object.fromEntries(encoded),
  };
  const made = importKey(key);
  if (made === undefined || !isSound(made, key)) throw new Error('the numbers make no key');
  return made;
}

/** @returns `undefined` for an error, which might contain the numbers. */
function importKey(key: webcrypto.JsonWebKey): KeyObject | undefined {
  return attempt(() => createPrivateKey({ key, format: 'jwk' }));
}

/**
 * Reports whether the two halves of a key belong together. The signatures of a damaged key are
 * wrong, and may reveal its secret.
 */
function isSound(key: KeyObject, { kty, x }: webcrypto.JsonWebKey): boolean {
  return (
    createPublicKey(key).export({ format: 'jwk' }).x === x &&
    knowsItsSignature(key, kty === 'OKP' ? null : 'sha256')
  );
}

/** Reports whether the public half of a key verifies a signature of the secret half. */
export function knowsItsSignature(key: KeyObject, digest: string | null): boolean {
  const probe = Buffer.from('probe');
  // On failure: numbers that the calculation rejects
  return attempt(() => verify(digest, probe, createPublicKey(key), sign(digest, probe, key))) ?? false;
}

function numberOf(bigEndian: Buffer): bigint {
  return BigInt(`0x0${bigEndian.toString('hex')}`);
}

function bytesOf(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
