import { createPrivateKey } from 'node:crypto';

const BEGIN = '-----BEGIN ';
const DASHES = '-----';
/** Any label that ends like this is accepted by Go, which looks only at the content. */
const LABEL_END = 'PRIVATE KEY';
const LABEL = /^[A-Z0-9 ]+$/;
const BASE64 = /^\s[A-Za-z0-9+/=\s]+$/;
/** Labels that OpenSSL accepts. */
const KNOWN_LABEL = /^(?:RSA |EC |ENCRYPTED )?PRIVATE KEY$/;
/** Formats in Go's order (`crypto/tls.parsePrivateKey`). */
const FORMATS = ['pkcs1', 'pkcs8', 'sec1'] as const;

/**
 * Returns a private key in PEM for OpenSSL. A key with a label that only Go accepts, for example
 * `ECDSA PRIVATE KEY`, is written anew; any other text is returned as it is.
 */
export function privateKeyPem(pem: string | Buffer): string | Buffer {
  const { label, base64 } = blockOf(pem.toString()) ?? {};
  if (label === undefined || base64 === undefined || KNOWN_LABEL.test(label)) return pem;
  const key = Buffer.from(base64, 'base64');
  for (const type of FORMATS) {
    try {
      return createPrivateKey({ key, format: 'der', type }).export({ type: 'pkcs8', format: 'pem' });
    } catch {
      // Another format; OpenSSL reports the problem if it is none.
    }
  }
  return pem;
}

/** Finds the first private key in a file, which may have other blocks before it. */
function blockOf(text: string): { readonly label: string; readonly base64: string } | undefined {
  for (let at = text.indexOf(BEGIN); at !== -1; at = text.indexOf(BEGIN, at + 1)) {
    const labelAt = at + BEGIN.length;
    const labelEnd = text.indexOf(DASHES, labelAt);
    const end = labelEnd === -1 ? -1 : text.indexOf(DASHES, labelEnd + DASHES.length);
    if (end === -1) return undefined;
    const label = text.slice(labelAt, labelEnd);
    const base64 = text.slice(labelEnd + DASHES.length, end);
    const isKey = label.endsWith(LABEL_END) && LABEL.test(label) && BASE64.test(base64);
    if (isKey && text.startsWith(`-----END ${label}-----`, end)) return { label, base64 };
  }
  return undefined;
}
