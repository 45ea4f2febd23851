import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { FOR_OTHERS } from '#base/files/for-others';
import { ignoreMissing } from '#base/files/ignore-missing';
import { createFile } from '#base/files/replace-file';
import { isError } from '#base/is-error';
import { trimmedEnd } from '#base/trim';
import type { SshLibrary, SshParsedKey } from '../ssh-library.ts';
import { newEd25519Key } from './openssh-key.ts';

export interface HostKey {
  readonly key: SshParsedKey;
  /** `SHA256:…`, as ssh shows it to users at the first connection. */
  readonly fingerprint: string;
}

/**
 * Reads the host's private key, or generates one (Ed25519, OpenSSH's format, mode 0600) if there is
 * none. Concurrent calls get the same key.
 *
 * @throws {Error} that describes the problem of the file; the system's error when it cannot be read
 *   or created.
 */
export async function openHostKey(path: string, { utils }: SshLibrary): Promise<HostKey> {
  const text = (await readFile(path).catch(ignoreMissing)) ?? (await makeKey(path, newEd25519Key().private));
  const key = firstOf(utils.parseKey(text));
  if (isError(key)) throw new Error(`${path} is not a private key without a passphrase: ${key.message}`);
  if (!key.isPrivateKey()) throw new Error(`${path} is a public key; the gateway needs the private key`);
  const { mode } = await stat(path);
  // sshd requires the same.
  if ((mode & FOR_OTHERS) !== 0)
    throw new Error(`Other users can read ${path}. Make it private: chmod 600 ${path}`);
  return { key, fingerprint: fingerprintOf(key.getPublicSSH()) };
}

/** Returns `SHA256:` and the hash of a public key in wire format, without padding. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return `SHA256:${trimmedEnd(createHash('sha256').update(publicKey).digest('base64'), '=')}`;
}

/** Creates the file atomically; never replaces an existing one. */
async function makeKey(path: string, text: string): Promise<Buffer> {
  await createFile(path, text, { durable: true }); // or another process was faster
  return await readFile(path);
}

/** Returns the first key. Some formats hold several keys, for which the library returns a list. */
function firstOf<T>(found: T | T[]): T | Error {
  return Array.isArray(found) ? (found[0] ?? new Error('it is empty')) : found;
}
