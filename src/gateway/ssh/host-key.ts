import { createHash, randomUUID } from 'node:crypto';
import { link, open, readFile, rm, stat } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';
import { newEd25519Key } from './openssh-key.ts';
import type { SshLibrary, SshParsedKey } from './ssh-library.ts';

export interface HostKey {
  readonly key: SshParsedKey;
  /** `SHA256:…`, as ssh shows it to users at the first connection. */
  readonly fingerprint: string;
}

/** Those that only the owner may read or write; sshd asks for the same. */
const PERMISSIONS_OF_OTHERS = 0o077;

/**
 * Reads the private key of the host, or makes one (Ed25519, OpenSSH's format, mode 0600) where there is none. Several that make it
 * at the same time end up with the same one.
 *
 * @throws {Error} that says what is wrong with the file; the system's error when it cannot be read or made.
 */
export async function openHostKey(path: string, { utils }: SshLibrary): Promise<HostKey> {
  const text = (await readIfThere(path)) ?? (await makeKey(path, newEd25519Key().private));
  const key = firstOf(utils.parseKey(text));
  if (key instanceof Error) throw new Error(`${path} is no private key without a passphrase: ${key.message}`);
  if (!key.isPrivateKey()) throw new Error(`${path} is a public key; the host key is the private one`);
  const { mode } = await stat(path);
  if ((mode & PERMISSIONS_OF_OTHERS) !== 0) throw new Error(`Others can read ${path}. Make it private: chmod 600 ${path}`);
  return { key, fingerprint: fingerprintOf(key.getPublicSSH()) };
}

/** `SHA256:` and the hash of a public key in its form on the wire, without padding. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(publicKey).digest('base64').replace(/=+$/, '')}`;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** The file appears whole or not at all, and never replaces one that is there. */
async function makeKey(path: string, text: string): Promise<Buffer> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path).catch((error) => {
      if (systemErrorCode(error) !== 'EEXIST') throw error; // somebody was faster
    });
  } finally {
    await rm(temporary, { force: true });
  }
  return await readFile(path);
}

/** Some formats hold more than one key, and the library gives a list then. */
function firstOf<T>(found: T | T[]): T | Error {
  return Array.isArray(found) ? (found[0] ?? new Error('it is empty')) : found;
}
