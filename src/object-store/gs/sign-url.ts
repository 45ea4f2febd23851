import { createHash } from 'node:crypto';
import type { GcsSigner } from './gcs-auth.ts';

const ALGORITHM = 'GOOG4-RSA-SHA256';
const MAX_SIGNED_SECONDS = 7 * 24 * 3600; // limit of the service

export interface SignedUrlOptions {
  readonly endpoint: string;
  /** Bucket and the parts of the key. */
  readonly path: readonly string[];
  readonly validMs: number;
}

/**
 * Returns a URL that reads an object for a while, signed with the account's RSA key.
 *
 * @see Google Cloud Storage: V4 signing process, canonical requests
 */
export async function signGcsUrl(
  signer: GcsSigner,
  { endpoint, path, validMs }: SignedUrlOptions,
): Promise<string> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/auto/storage/goog4_request`;
  const { host } = new URL(endpoint);
  const query = Object.entries({
    'X-Goog-Algorithm': ALGORITHM,
    'X-Goog-Credential': `${signer.email}/${scope}`,
    'X-Goog-Date': date,
    'X-Goog-Expires': String(Math.min(Math.ceil(validMs / 1000), MAX_SIGNED_SECONDS)),
    'X-Goog-SignedHeaders': 'host',
  })
    .map(([name, value]) => `${name}=${encode(value)}`)
    .join('&');
  const pathname = `/${path.map(encode).join('/')}`;
  const canonical = ['GET', pathname, query, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const digest = createHash('sha256').update(canonical).digest('hex');
  const signature = await signer.sign([ALGORITHM, date, scope, digest].join('\n'));
  const hex = Buffer.from(signature, 'base64').toString('hex');
  return `${endpoint}${pathname}?${query}&X-Goog-Signature=${hex}`;
}

/** Escapes all but the unreserved characters of RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
