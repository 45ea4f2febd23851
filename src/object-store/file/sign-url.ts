import { createHmac, timingSafeEqual } from 'node:crypto';

/** Signs URLs of objects, as Go Cloud's `fileblob.URLSignerHMAC` does. */
export interface UrlSigner {
  /** Address of a program that checks the signature and serves the object. */
  readonly baseUrl: string;
  readonly secret: Uint8Array;
}

/** Returns the address of an object for that program, valid for a while. */
export function signUrl({ baseUrl, secret }: UrlSigner, key: string, validMs: number): string {
  const expiry = Math.floor((Date.now() + validMs) / 1000);
  const query = new URLSearchParams({ expiry: String(expiry), method: 'GET', obj: key });
  query.append('signature', signatureOf(secret, query).toString('base64url'));
  const url = new URL(baseUrl);
  for (const [name, value] of query) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Returns the object of an address that {@link signUrl} made; `undefined` if the signature is
 * wrong, or the address has expired.
 */
export function verifySignedUrl(
  secret: Uint8Array,
  query: URLSearchParams,
  nowMs: number,
): string | undefined {
  const [expiry, obj] = [query.get('expiry') ?? '', query.get('obj') ?? ''];
  const signature = Buffer.from(query.get('signature') ?? '', 'base64url');
  const expected = signatureOf(secret, new URLSearchParams({ expiry, method: 'GET', obj }));
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return undefined;
  return Number(expiry) * 1000 >= nowMs ? obj : undefined;
}

function signatureOf(secret: Uint8Array, query: URLSearchParams): Buffer {
  return createHmac('sha256', secret).update(query.toString()).digest();
}
