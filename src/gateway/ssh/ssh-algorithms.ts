import type { SshAlgorithms, SshParsedKey } from './ssh-library.ts';

/**
 * Algorithms that the gateway offers: nothing with SHA-1, CBC, or finite-field groups below 2048
 * bits, and no compression, which would let a small packet fill the memory.
 */
export const SSH_ALGORITHMS: Omit<SshAlgorithms, 'cipher'> = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
};

/**
 * Returns a host key in the form of the library's server. The library also signs with SHA-1 for an
 * RSA key, whatever the list of algorithms is; it does not accept the key under the names of the
 * other signatures.
 */
export function hostKeysOf(key: SshParsedKey): { readonly key: SshParsedKey }[] {
  if (key.type !== 'ssh-rsa') return [{ key }];
  return ['rsa-sha2-512', 'rsa-sha2-256'].map((type) => ({
    // An object with all the properties of the key.
    key: Object.create(key, { type: { value: type } }) as SshParsedKey,
  }));
}
