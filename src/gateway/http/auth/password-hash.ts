import { createHash, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Stored form of a password or a token. */
export type SecretHash =
  | {
      readonly kind: 'scrypt';
      readonly options: ScryptOptions;
      readonly salt: Buffer;
      readonly digest: Buffer;
    }
  | { readonly kind: 'sha256'; readonly digest: Buffer };

/**
 * OWASP's Password Storage Cheat Sheet: N = 2^15, r = 8, p = 3; takes 32 MiB and some 0.2 s of one
 * core.
 */
const COST = { ln: 15, r: 8, p: 3 } as const;
/** Maximum cost of one check: 128 MiB, and about four times the time of the above. */
const MAX_COST = { ln: 17, r: 8, p: 16, work: 4 * (COST.p << COST.ln) } as const;
const SALT_BYTES = 16;
const DIGEST_BYTES = 32;
const MAX_DIGEST_BYTES = 64;
/** 256 bits cannot be guessed, so one round of a fast hash is enough. */
const TOKEN_BYTES = 32;

const SCRYPT =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
const SHA256 = /^sha256:([0-9a-f]{64})$/;

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/**
 * Returns `$scrypt$ln=15,r=8,p=3$<salt>$<digest>` with a new salt: the PHC string format, which
 * other tools write too.
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const digest = await derive(password, salt, DIGEST_BYTES, scryptOptions(COST));
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(digest)}`;
}

/** Returns a new token and its stored form: `sha256:<hex>`. */
export function createToken(): { readonly token: string; readonly hash: string } {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  return { token, hash: `sha256:${sha256(token).toString('hex')}` };
}

/**
 * Parses the output of the two functions above; `undefined` for anything else and for excessive
 * costs.
 */
export function parseSecretHash(text: string): SecretHash | undefined {
  const [, hex] = SHA256.exec(text) ?? [];
  if (hex !== undefined) return { kind: 'sha256', digest: Buffer.from(hex, 'hex') };
  const [, ln, r, p, salt, digest] = SCRYPT.exec(text) ?? [];
  if (salt === undefined || digest === undefined) return undefined;
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  const isSane = cost.ln >= 1 && cost.ln <= MAX_COST.ln && cost.r >= 1 && cost.r <= MAX_COST.r && cost.p >= 1;
  if (!isSane || cost.p > MAX_COST.p || cost.p << cost.ln > MAX_COST.work) return undefined;
  const bytes = Buffer.from(digest, 'base64');
  if (bytes.length > MAX_DIGEST_BYTES) return undefined;
  return { kind: 'scrypt', options: scryptOptions(cost), salt: Buffer.from(salt, 'base64'), digest: bytes };
}

/** Reports whether a secret matches the hash. Compares in constant time. */
export async function isSecretOf(hash: SecretHash, secret: string): Promise<boolean> {
  const digest =
    hash.kind === 'sha256'
      ? sha256(secret)
      : await derive(secret, hash.salt, hash.digest.length, hash.options);
  return digest.length === hash.digest.length && timingSafeEqual(digest, hash.digest);
}

/**
 * A hash of the usual cost that matches no password. Checking it makes an unknown name take as long
 * as a known one.
 */
export const DUMMY_HASH: SecretHash = {
  kind: 'scrypt',
  options: scryptOptions(COST),
  salt: randomBytes(SALT_BYTES),
  digest: randomBytes(DIGEST_BYTES),
};

function scryptOptions({ ln, p, r }: { ln: number; r: number; p: number }): ScryptOptions {
  const bytes = 128 * r * (2 ** ln + p + 2); // value that OpenSSL compares with maxmem
  return { N: 2 ** ln, r, p, maxmem: bytes };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
