import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { attempt } from '../attempt.ts';
import { ECDSA_CURVES, padded } from './key-numbers.ts';
import { SshFields, sshNumber, sshString } from './ssh-fields.ts';

const signAsync = promisify(sign);

const MAGIC = 'SSHSIG';
const VERSION = 1;
const NAMESPACE = 'git';
const HASH = 'sha512';
/** Hashes that other signers may have used. */
const HASHES = [HASH, 'sha256'];
/**
 * Of the text of a signature, as Go's encoder breaks lines; ssh-keygen breaks them at 70, and
 * everybody reads both.
 */
const LINE_LENGTH = 64;
const ARMOR = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----\n*$/;

/** A key that verifies signatures. */
export interface VerifyingKey {
  /** `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256` and its like. */
  readonly type: string;
  /** The public key in SSH's encoding. */
  readonly publicBlob: Buffer;
  readonly publicKey: KeyObject;
}

interface SigningKey extends VerifyingKey {
  readonly privateKey: KeyObject;
}

/**
 * Signs a text as `ssh-keygen -Y sign -n git` does.
 *
 * @returns the armoured signature with its final line feed.
 * @see OpenSSH: PROTOCOL.sshsig
 */
export async function createSshSignature(key: SigningKey, text: Buffer): Promise<Buffer> {
  const { algorithm, digest, curveBytes } = algorithmOf(key.type);
  const options = { key: key.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  const raw = await signAsync(digest, signedData(HASH, text), options);
  const value = curveBytes === undefined ? raw : pairOf(raw, curveBytes);
  const blob = Buffer.concat([
    Buffer.from(MAGIC),
    Buffer.from([0, 0, 0, VERSION]),
    ...[key.publicBlob, NAMESPACE, '', HASH].map(sshString),
    sshString(Buffer.concat([sshString(algorithm), sshString(value)])),
  ]);
  const lines = blob.toString('base64').match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return Buffer.from(
    ['-----BEGIN SSH SIGNATURE-----', ...lines, '-----END SSH SIGNATURE-----', ''].join('\n'),
  );
}

/**
 * Reports whether the key made a signature of a text, for use by git. Returns false for an invalid
 * signature.
 */
export function isSshSignatureOf(key: VerifyingKey, text: Buffer, armoured: Buffer): boolean {
  const fields = signatureFields(armoured);
  if (fields === undefined) return false;
  // On failure: truncated, or a number that does not fit: users may write anything into a commit
  return attempt(() => verifyBlob(key, text, fields)) ?? false;
}

/** Returns the public key that a signature names, in SSH's encoding; `undefined` without one. */
export function signerOf(armoured: Buffer): Buffer | undefined {
  const fields = signatureFields(armoured);
  // On failure: truncated
  return attempt(() => (fields?.number() === VERSION ? fields.string() : undefined));
}

function signatureFields(armoured: Buffer): SshFields | undefined {
  const body = ARMOR.exec(armoured.toString('latin1'))?.[1];
  const blob = Buffer.from(body ?? '', 'base64');
  return blob.toString('latin1', 0, MAGIC.length) === MAGIC
    ? new SshFields(blob.subarray(MAGIC.length))
    : undefined;
}

function verifyBlob(key: VerifyingKey, text: Buffer, fields: SshFields): boolean {
  if (fields.number() !== VERSION || !fields.string().equals(key.publicBlob) || fields.text() !== NAMESPACE)
    return false;
  fields.string(); // reserved
  const hash = fields.text();
  const signature = new SshFields(fields.string());
  const { algorithm, digest, curveBytes } = algorithmOf(key.type);
  if (!HASHES.includes(hash) || signature.text() !== algorithm) return false;

  const value = signature.string();
  const raw = curveBytes === undefined ? value : joinedPair(value, curveBytes);
  return verify(digest, signedData(hash, text), { key: key.publicKey, dsaEncoding: 'ieee-p1363' }, raw);
}

interface Algorithm {
  /** Type of the signature, not of the key. */
  readonly algorithm: string;
  readonly digest: string | null;
  /** Bytes of each of the two numbers of an ECDSA signature. */
  readonly curveBytes?: number;
}

function algorithmOf(keyType: string): Algorithm {
  if (keyType === 'ssh-rsa') return { algorithm: 'rsa-sha2-512', digest: 'sha512' };
  const curve = ECDSA_CURVES[keyType.replace('ecdsa-sha2-', '')];
  return { algorithm: keyType, digest: curve?.hash ?? null, ...(curve && { curveBytes: curve.bytes }) };
}

/** Builds the data that is signed in place of the text. */
function signedData(hash: string, text: Buffer): Buffer {
  const digest = createHash(hash).update(text).digest();
  return Buffer.concat([Buffer.from(MAGIC), ...[NAMESPACE, '', hash, digest].map(sshString)]);
}

function pairOf(raw: Buffer, curveBytes: number): Buffer {
  return Buffer.concat([raw.subarray(0, curveBytes), raw.subarray(curveBytes)].map(sshNumber));
}

function joinedPair(value: Buffer, curveBytes: number): Buffer {
  const fields = new SshFields(value);
  return Buffer.concat([padded(fields.string(), curveBytes), padded(fields.string(), curveBytes)]);
}
