import { createHash } from 'node:crypto';
import { ALGORITHM_IDS, signNumbers, verifyNumbers } from './openpgp-algorithms.ts';
import { armor, dearmor } from './openpgp-armor.ts';
import type { OpenPgpKey } from './openpgp-key.ts';
import { bigEndianNumber, mpi, PacketFields, packetsOf, subpacketsOf } from './openpgp-packets.ts';

const LABEL = 'PGP SIGNATURE';
const VERSION = 4;
const SIGNATURE_TAG = 2;
const TYPE = { binary: 0, text: 1 };
const SUBPACKET = { signedAt: 2, issuer: 16, issuerFingerprint: 33 };
/** RFC 4880, section 9.4, without those that no longer protect. */
const HASHES: Readonly<Record<number, string>> = { 8: 'sha256', 9: 'sha384', 10: 'sha512', 11: 'sha224' };
const LAST_DATE = 0xffff_ffffn;

/**
 * Signs a text with an OpenPGP key: the newest subkey that may sign, or else the primary key. The
 * bytes equal those of Gitaly, so that the nodes of a cluster create the same commit. There is one
 * exception: a text with a lone carriage return is signed unchanged; gpg and Gitaly disagree about
 * its lines.
 *
 * @param atSeconds time since 1970; a signature is never older than its key, because no program
 * would accept it.
 * @returns the armoured detached signature without a final line feed.
 * @throws {Error} `sign commit: …` when no key may sign.
 */
export async function createOpenPgpSignature(
  keys: readonly OpenPgpKey[],
  text: Buffer,
  atSeconds: bigint,
): Promise<string> {
  const { key, seconds } = signerAt(keys, atSeconds);
  const subpackets = [
    Buffer.from([5, SUBPACKET.signedAt]),
    bigEndianNumber(seconds, 4),
    Buffer.from([9, SUBPACKET.issuer]),
    key.fingerprint.subarray(-8),
    Buffer.from([22, SUBPACKET.issuerFingerprint, VERSION]),
    key.fingerprint,
  ];
  const hashed = Buffer.concat(subpackets);
  const type = /\r(?!\n)/.test(text.toString('latin1')) ? TYPE.binary : TYPE.text;
  const head = Buffer.concat([
    Buffer.from([VERSION, type, ALGORITHM_IDS[key.algorithm], hashId(key.hash)]),
    bigEndianNumber(hashed.length, 2),
    hashed,
  ]);
  const data = signedData(type, text, head);
  const digest = createHash(key.hash).update(data).digest();
  const numbers = await signNumbers(key, data, digest);
  const body = Buffer.concat([head, bigEndianNumber(0, 2), digest.subarray(0, 2), ...numbers.map(mpi)]);
  return armor(LABEL, Buffer.concat([Buffer.from([0xc0 | SIGNATURE_TAG]), packetLength(body.length), body]));
}

/**
 * Reports whether one of the keys made a signature of a text. Returns false for an invalid
 * signature.
 */
export function isOpenPgpSignatureOf(keys: readonly OpenPgpKey[], text: Buffer, armoured: Buffer): boolean {
  try {
    const packet = packetsOf(dearmor(LABEL, armoured) ?? Buffer.alloc(0)).next().value;
    return packet?.tag === SIGNATURE_TAG && verifyBody(keys, text, new PacketFields(packet.body));
  } catch {
    // truncated, or a number that does not fit: users may write anything into a commit
    return false;
  }
}

function verifyBody(keys: readonly OpenPgpKey[], text: Buffer, fields: PacketFields): boolean {
  const [version, type, algorithm] = [fields.number(1), fields.number(1), fields.number(1)];
  const hash = HASHES[fields.number(1)];
  if (version !== VERSION || (type !== TYPE.binary && type !== TYPE.text) || hash === undefined) return false;
  const hashed = subpacketsOf(fields.take(fields.number(2)));
  const head = fields.taken;
  const unhashed = subpacketsOf(fields.take(fields.number(2)));
  const key = keys.find(
    ({ fingerprint }) => isIssuer(hashed, fingerprint) || isIssuer(unhashed, fingerprint),
  );
  if (key === undefined || ALGORITHM_IDS[key.algorithm] !== algorithm) return false;
  fields.take(2); // digest prefix for a fast check

  const data = signedData(type, text, head);
  const digest = createHash(hash).update(data).digest();
  return verifyNumbers(key, { data, hash, digest }, fields);
}

function hashId(name: string): number {
  return Number(Object.entries(HASHES).find(([, hash]) => hash === name)?.[0]);
}

function isIssuer(subpackets: ReadonlyMap<number, Buffer>, fingerprint: Buffer): boolean {
  const id = subpackets.get(SUBPACKET.issuer);
  const full = subpackets.get(SUBPACKET.issuerFingerprint)?.subarray(1); // behind the version
  return (id?.equals(fingerprint.subarray(-8)) ?? false) || (full?.equals(fingerprint) ?? false);
}

function signerAt(keys: readonly OpenPgpKey[], atSeconds: bigint): { key: OpenPgpKey; seconds: number } {
  const wanted = Number(atSeconds < 0n ? 0n : atSeconds > LAST_DATE ? LAST_DATE : atSeconds);
  const able = keys
    .map((key) => ({ key, seconds: Math.max(wanted, key.createdAt) }))
    .filter(
      ({ key, seconds }) =>
        key.maySign && !key.isRevoked && (key.expiresAt === undefined || seconds < key.expiresAt),
    )
    .sort((a, b) => Number(a.key.isPrimary) - Number(b.key.isPrimary) || b.key.createdAt - a.key.createdAt);
  if (able[0] === undefined) throw new Error('sign commit: openpgp: no valid signing keys');
  return able[0];
}

/** Builds the signed data of RFC 4880, section 5.2.4. */
function signedData(type: number, text: Buffer, head: Buffer): Buffer {
  const hashed = type === TYPE.text ? withCarriageReturns(text) : text;
  return Buffer.concat([hashed, head, Buffer.from([VERSION, 0xff]), bigEndianNumber(head.length, 4)]);
}

/** Converts the line ends of a text to those of a text signature. */
function withCarriageReturns(text: Buffer): Buffer {
  return Buffer.from(text.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}

/** Encodes a length below 8384; the signature of the largest key is much shorter. */
function packetLength(length: number): Buffer {
  if (length < 192) return bigEndianNumber(length, 1);
  return bigEndianNumber(0xc000 + length - 192, 2);
}
