import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { attempt } from '#base/attempt';
import {
  ECDSA_CURVES,
  ecdsaPrivateKey,
  ed25519PrivateKey,
  knowsItsSignature,
  padded,
  rsaPrivateKey,
  withoutLeadingZeros,
} from '#base/ssh/key-numbers';
import type { PacketFields } from './openpgp-packets.ts';

const signAsync = promisify(sign);

export type OpenPgpAlgorithm = 'rsa' | 'dsa' | 'ecdsa' | 'ed25519';

/** RFC 4880, section 9.1, RFC 6637 for ECDSA, and RFC 9580 for EdDSA. */
export const ALGORITHM_IDS: Readonly<Record<OpenPgpAlgorithm, number>> = {
  rsa: 1,
  dsa: 17,
  ecdsa: 19,
  ed25519: 22,
};

/** Numbers and algorithm of a key that signs. */
export interface KeyMaterial {
  readonly algorithm: OpenPgpAlgorithm;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  /** Size of each number of a signature: one for RSA, two for the others. */
  readonly numberBytes: number;
  /** Hash that is signed: SHA-256, as in Gitaly; gpg requires a digest as long as the curve. */
  readonly hash: string;
}

const ED25519_CURVE = Buffer.from('2b06010401da470f01', 'hex');
const NIST_CURVES: Readonly<Record<string, keyof typeof ECDSA_CURVES>> = {
  '2a8648ce3d030107': 'nistp256',
  '2b81040022': 'nistp384',
  '2b81040023': 'nistp521',
};
/** Prefix of a point that is written as one number, in a special format. */
const NATIVE_POINT = 0x40;

/** Numbers of a DSA key, big-endian; `y` is the public one, `x` the secret. */
interface DsaNumbers {
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
 * Reads the public part of a key, and gives what reads the secret behind it; `undefined` for
 * algorithms that do not sign here.
 */
export function readPublicPart(fields: PacketFields, algorithm: number): (() => KeyMaterial) | undefined {
  switch (algorithm) {
    case ALGORITHM_IDS.rsa:
      return readRsa(fields);
    case ALGORITHM_IDS.dsa:
      return readDsa(fields);
    case ALGORITHM_IDS.ecdsa:
      return readEcdsa(fields);
    case ALGORITHM_IDS.ed25519:
      return readEd25519(fields);
    default:
      return undefined;
  }
}

function readRsa(fields: PacketFields): () => KeyMaterial {
  const [n, e] = [fields.mpi(), fields.mpi()];
  return () => {
    // OpenPGP stores the inverse of p modulo q: with the primes exchanged it is the inverse of q
    // modulo p.
    const [d, q, p, inverse] = [fields.mpi(), fields.mpi(), fields.mpi(), fields.mpi()];
    return material('rsa', rsaPrivateKey({ n, e, d, p, q, inverse }), n.length);
  };
}

function readDsa(fields: PacketFields): () => KeyMaterial {
  const [p, q, g, y] = [fields.mpi(), fields.mpi(), fields.mpi(), fields.mpi()];
  return () => material('dsa', dsaPrivateKey({ p, q, g, y, x: fields.mpi() }), q.length);
}

function readEcdsa(fields: PacketFields): (() => KeyMaterial) | undefined {
  const curve = ECDSA_CURVES[NIST_CURVES[fields.take(fields.number(1)).toString('hex')] ?? ''];
  if (curve === undefined) return undefined;
  const point = fields.mpi();
  return () => ({
    ...material('ecdsa', ecdsaPrivateKey(curve, fields.mpi(), point), curve.bytes),
    hash: curve.hash,
  });
}

function readEd25519(fields: PacketFields): (() => KeyMaterial) | undefined {
  if (!fields.take(fields.number(1)).equals(ED25519_CURVE)) return undefined;
  const point = fields.mpi();
  if (point[0] !== NATIVE_POINT) throw new Error('openpgp: the public key is no point of its curve');
  return () => material('ed25519', ed25519PrivateKey(fields.mpi(), point.subarray(1)), 32);
}

function material(algorithm: OpenPgpAlgorithm, privateKey: KeyObject, numberBytes: number): KeyMaterial {
  return { algorithm, privateKey, publicKey: createPublicKey(privateKey), numberBytes, hash: 'sha256' };
}

/**
 * Signs data, of which `digest` is the digest with the key's hash. @returns the numbers of the
 * signature.
 */
export async function signNumbers(
  { algorithm, privateKey: key, numberBytes, hash }: KeyMaterial,
  data: Buffer,
  digest: Buffer,
): Promise<Buffer[]> {
  if (algorithm === 'rsa') return [await signAsync(hash, data, key)];
  // In OpenPGP, Ed25519 signs the digest as its text.
  const signature =
    algorithm === 'ed25519'
      ? await signAsync(null, digest, key)
      : await signAsync(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  return [signature.subarray(0, numberBytes), signature.subarray(numberBytes)];
}

/**
 * Reports whether the numbers that are read from the fields are a signature of the data. `digest`
 * is the `hash` of the data.
 */
export function verifyNumbers(
  { algorithm, publicKey: key, numberBytes }: KeyMaterial,
  signed: { readonly data: Buffer; readonly hash: string; readonly digest: Buffer },
  fields: PacketFields,
): boolean {
  const { data, hash, digest } = signed;
  const first = padded(fields.mpi(), numberBytes);
  if (algorithm === 'rsa') return verify(hash, data, key, first);
  const signature = Buffer.concat([first, padded(fields.mpi(), numberBytes)]);
  if (algorithm === 'ed25519') return verify(null, digest, key, signature);
  return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/**
 * Creates a DSA key through PKCS #8 (RFC 5208), because no JSON form exists. @throws {Error} when
 * the numbers are no valid key.
 */
function dsaPrivateKey({ p, q, g, y, x }: DsaNumbers): KeyObject {
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
