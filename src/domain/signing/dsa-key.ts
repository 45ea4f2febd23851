import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { knowsItsSignature, withoutLeadingZeros } from './key-numbers.ts';

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

/** A DSA key, for which there is no JSON form: in PKCS #8 (RFC 5208). @throws {Error} when the numbers make no key. */
export function dsaPrivateKey({ p, q, g, y, x }: DsaNumbers): KeyObject {
  const parameters = der(TAG.sequence, integer(p), integer(q), integer(g));
  const secret = der(TAG.octets, integer(x));
  const key = keyOf(der(TAG.sequence, integer(Buffer.of(0)), der(TAG.sequence, DSA, parameters), secret));
  if (key === undefined || !hasPublicNumber(key, y) || !knowsItsSignature(key, 'sha256')) {
    throw new Error('the numbers make no key');
  }
  return key;
}

/** `undefined` for an error, which might show the numbers. */
function keyOf(pkcs8: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

/** The public number is the last in its DER form. */
function hasPublicNumber(key: KeyObject, y: Buffer): boolean {
  const end = integer(y);
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-end.length).equals(end);
}

/** Never negative, so never with the highest bit set. */
function integer(bigEndian: Buffer): Buffer {
  const digits = withoutLeadingZeros(bigEndian);
  const needsZero = digits.length === 0 || (digits[0] ?? 0) >= 0x80;
  return der(TAG.integer, needsZero ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const length = withoutLeadingZeros(Buffer.from(body.length.toString(16).padStart(8, '0'), 'hex'));
  const head = body.length < 0x80 ? Buffer.of(tag, body.length) : Buffer.of(tag, 0x80 | length.length, ...length);
  return Buffer.concat([head, body]);
}
