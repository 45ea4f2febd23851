import { createPrivateKey } from 'node:crypto';

/** Any label that ends like this is accepted by Go, which looks only at the content. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----/;
/** Labels that OpenSSL accepts. */
const KNOWN_LABEL = /^(?:RSA |EC |ENCRYPTED )?PRIVATE KEY$/;
/** Formats in Go's order (`crypto/tls.parsePrivateKey`). */
const FORMATS = ['pkcs1', 'pkcs8', 'sec1'] as const;

/**
 * Returns a private key in PEM for OpenSSL. A key with a label that only Go accepts, for example
 * `ECDSA PRIVATE KEY`, is written anew; any other text is returned as it is.
 */
export function privateKeyPem(pem: string | Buffer): string | Buffer {
  const [, label, base64 = ''] = BLOCK.exec(pem.toString()) ?? [];
  if (label === undefined || KNOWN_LABEL.test(label)) return pem;
  const key = Buffer.from(base64, 'base64');
  for (const type of FORMATS) {
    try {
      return createPrivateKey({ key, format: 'der', type }).export({ type: 'pkcs8', format: 'pem' });
    } catch {
      // Another format; if it is none of them, OpenSSL reports the problem.
    }
  }
  return pem;
}
