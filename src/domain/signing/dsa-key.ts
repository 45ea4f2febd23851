import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { attempt } from '#base/attempt';
import { knowsItsSignature, withoutLeadingZeros } from '#base/ssh/key-numbers';

/** Numbers of a DSA key, big-endian; `y` is the public one, `x` the secret. */
export interface DsaNumbers {
  readonly p: Buffer;
  readonly q: Buffer;
  readonly g: Buffer;
  readonly y: Buffer;
  readonly x: Buffer;
}

const TAG = { integer: 0x02, octets: 0x04, sequence: 0x30 };
/** id-dsa, 1.2.840.10040.4.1 (RFC 3279, section 2.3.2). */
const DSA = Buffer.from('06072a8648ce380401', 'hex');

/**
 * Creates a DSA key through PKCS #8 (RFC 5208), because no JSON form exists. @throws {Error} when
 * the numbers are no valid key.
 */
export function dsaPrivateKey({ p, q, g, y, x }: DsaNumbers): KeyObject {
  const parameters = der(TAG.sequence, integer(p), integer(q), integer(g));
  const secret = der(TAG.octets, integer(x));
  const key = importKey(der(TAG.sequence, integer(Buffer.of(0)), der(TAG.sequence, DSA, parameters), secret));
  if (key === undefined || !hasPublicNumber(key, y) || !knowsItsSignature(key, 'sha256')) {
    throw new Error('the numbers make no key');
  }
  return key;
}

/** @returns `undefined` for an error, which might contain the numbers. */
function importKey(pkcs8: Buffer): KeyObject | undefined {
  return attempt(() => createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
}

/** Reports whether the public number, which is the last in the DER form, is `y`. */
function hasPublicNumber(key: KeyObject, y: Buffer): boolean {
  const end = integer(y);
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-end.length).equals(end);
}

/** Encodes an integer. It is never negative, so its highest bit is never set. */
function integer(bigEndian: Buffer): Buffer {
  const digits = withoutLeadingZeros(bigEndian);
  const needsZero = digits.length === 0 || (digits[0] ?? 0) >= 0x80;
  return der(TAG.integer, needsZero ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const length = withoutLeadingZeros(Buffer.from(body.length.toString(16).padStart(8, '0'), 'hex'));
  const head =
    body.length < 0x80 ? Buffer.of(tag, body.length) : Buffer.of(tag, 0x80 | length.length, ...length);
  return Buffer.concat([head, body]);
}
