import { createHash } from 'node:crypto';
import { isError } from '#base/is-error';
import { type KeyMaterial, readPublicPart } from './openpgp-algorithms.ts';
import { dearmor } from './openpgp-armor.ts';
import { bigEndianNumber, PacketFields, packetsOf, subpacketsOf } from './openpgp-packets.ts';

/** A primary key or a subkey, with the contents of the signatures on it. */
export interface OpenPgpKey extends KeyMaterial {
  /** 20 bytes; the last 8 are the key id. */
  readonly fingerprint: Buffer;
  /** Seconds since 1970. */
  readonly createdAt: number;
  readonly isPrimary: boolean;
  readonly maySign: boolean;
  /** Seconds since 1970; `undefined` for never. */
  readonly expiresAt: number | undefined;
  readonly isRevoked: boolean;
}

const VERSION = 4;
const TAG = { signature: 2, secretKey: 5, secretSubkey: 7 };
const SUBPACKET = { signedAt: 2, expiresAfter: 9, issuer: 16, flags: 27 };
const MAY_SIGN = 2;

/**
 * Reads the first key of a file, armoured or not, with its subkeys. Keys of algorithms that do not
 * sign and keys whose secret is elsewhere are left out. The file belongs to its owner, so the
 * signatures in it are not verified.
 *
 * @returns at least one key; the primary key need not be among them.
 * @throws {Error} `read entity: …` when there is none, or it is protected by a passphrase.
 */
export function parseOpenPgpKeys(file: Buffer): OpenPgpKey[] {
  try {
    return readKeys(dearmor('PGP PRIVATE KEY BLOCK', file) ?? file);
  } catch (error) {
    throw new Error(`read entity: ${isError(error) ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function readKeys(bytes: Buffer): OpenPgpKey[] {
  const keys: OpenPgpKey[] = [];
  let primaryId: Buffer | undefined;
  let current: KeyWithFacts | undefined;
  let problem = 'openpgp: no private key found';
  const finish = (): void => {
    if (current !== undefined) keys.push(current.toKey());
    current = undefined;
  };
  for (const { tag, body } of packetsOf(bytes)) {
    if (tag === TAG.secretKey || tag === TAG.secretSubkey) {
      const isPrimary = tag === TAG.secretKey;
      if (isPrimary && primaryId !== undefined) break; // the next key of the file
      finish();
      const read = readSecretKey(body);
      if (isPrimary) primaryId = read.fingerprint.subarray(-8);
      if (typeof read.secret === 'string') problem = `openpgp: ${read.secret}`;
      else current = new KeyWithFacts({ ...read, ...read.secret, isPrimary });
    } else if (tag === TAG.signature && primaryId !== undefined) current?.apply(body, primaryId);
  }
  finish();
  if (keys.length === 0) throw new Error(problem);
  return keys;
}

/**
 * Reads the key of a packet; in place of a missing secret, the reason for its absence. Unusable
 * keys have no fingerprint.
 */
function readSecretKey(body: Buffer): {
  fingerprint: Buffer;
  createdAt: number;
  secret: KeyMaterial | string;
} {
  const fields = new PacketFields(body);
  if (fields.number(1) !== VERSION) throw new Error('openpgp: only keys of version 4 are supported');
  const createdAt = fields.number(4);
  const readSecret = readPublicPart(fields, fields.number(1));
  if (readSecret === undefined) {
    const secret = 'unsupported kind of key; signing keys are of type RSA, DSA, ECDSA or Ed25519';
    return { fingerprint: Buffer.alloc(0), createdAt, secret };
  }
  const publicBody = fields.taken;
  const head = Buffer.concat([Buffer.from([0x99]), bigEndianNumber(publicBody.length, 2)]);
  const fingerprint = createHash('sha1').update(head).update(publicBody).digest();
  const isProtected = fields.number(1) !== 0;
  return {
    fingerprint,
    createdAt,
    secret: isProtected ? 'this private key is passphrase protected' : readSecret(),
  };
}

/** Types of signatures on keys (RFC 4880, section 5.2.1). */
const SELF_SIGNATURES = [0x10, 0x11, 0x12, 0x13, 0x1f];
const BINDING = 0x18;
const REVOCATIONS = [0x20, 0x28];

/** Collects the facts in the signatures that follow a key; the newest counts. */
class KeyWithFacts {
  readonly #key: Omit<OpenPgpKey, 'maySign' | 'expiresAt' | 'isRevoked'>;
  #saidAt = -1;
  #expiresAfter = 0;
  #maySign: boolean;
  #isRevoked = false;

  constructor(key: Omit<OpenPgpKey, 'maySign' | 'expiresAt' | 'isRevoked'>) {
    this.#key = key;
    this.#maySign = key.isPrimary; // a subkey needs a binding of its owner
  }

  apply(body: Buffer, primaryId: Buffer): void {
    const fields = new PacketFields(body);
    if (fields.number(1) !== VERSION) return;
    const type = fields.number(1);
    fields.take(2); // algorithms
    const hashed = subpacketsOf(fields.take(fields.number(2)));
    const issuer =
      hashed.get(SUBPACKET.issuer) ?? subpacketsOf(fields.take(fields.number(2))).get(SUBPACKET.issuer);
    if (issuer === undefined || !issuer.equals(primaryId)) return; // statement of another key
    if (REVOCATIONS.includes(type)) this.#isRevoked = true;
    if (this.#key.isPrimary ? !SELF_SIGNATURES.includes(type) : type !== BINDING) return;
    const saidAt = hashed.get(SUBPACKET.signedAt)?.readUInt32BE() ?? 0;
    if (saidAt < this.#saidAt) return;
    this.#saidAt = saidAt;
    const flags = hashed.get(SUBPACKET.flags)?.[0];
    this.#maySign = flags === undefined ? this.#key.isPrimary : (flags & MAY_SIGN) !== 0;
    this.#expiresAfter = hashed.get(SUBPACKET.expiresAfter)?.readUInt32BE() ?? 0;
  }

  toKey(): OpenPgpKey {
    const expiresAt = this.#expiresAfter === 0 ? undefined : this.#key.createdAt + this.#expiresAfter;
    return { ...this.#key, maySign: this.#maySign, expiresAt, isRevoked: this.#isRevoked };
  }
}
