export type SshCipher =
  | 'aes128-gcm@openssh.com'
  | 'aes256-gcm@openssh.com'
  | 'chacha20-poly1305@openssh.com'
  | 'aes128-ctr'
  | 'aes192-ctr'
  | 'aes256-ctr';

/**
 * Default ciphers. CTR is for clients without GCM (libssh2 before 1.11, PuTTY before 0.80). No
 * client needs ChaCha20-Poly1305, OpenSSH's favourite, which costs more than CTR.
 */
export const SSH_CIPHERS: readonly SshCipher[] = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
];

/** Ciphers that encrypt and authenticate in one pass, which the processor supports. */
const CHEAP = /-gcm@openssh\.com$/;

/**
 * Selects the ciphers to offer to a client. The client's order decides, and OpenSSH before 10 puts
 * CTR before GCM. CTR with HMAC costs the server a quarter more CPU for a clone, so a client with
 * GCM is offered only that.
 *
 * @param offer the ciphers of the client; `undefined` if they are unknown.
 */
export function cheapest(ciphers: readonly SshCipher[], offer: readonly string[] | undefined): SshCipher[] {
  const cheap = ciphers.filter((cipher) => CHEAP.test(cipher) && offer?.includes(cipher));
  return cheap.length > 0 ? cheap : [...ciphers];
}
