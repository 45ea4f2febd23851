import type { SshAlgorithms } from './ssh-library.ts';

/**
 * What the door offers: nothing with SHA-1, CBC, or finite-field groups below 2048 bits, and no compression, which would let a small
 * packet fill the memory.
 *
 * The client's order decides, so a cipher that is offered is used by all clients that like it best. For a clone of 250 MB GCM took
 * 0.9 s of CPU, CTR 1.1 s, ChaCha20-Poly1305 (OpenSSH's favourite) 1.3 s. CTR is there for clients that have no GCM (libssh2 before
 * 1.11, PuTTY before 0.80); nobody needs ChaCha20-Poly1305.
 */
export const SSH_ALGORITHMS: SshAlgorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
};
