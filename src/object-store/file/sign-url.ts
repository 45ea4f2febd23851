import { createHmac } from 'node:crypto';

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
  query.append('signature', createHmac('sha256', secret).update(query.toString()).digest('base64url'));
  const url = new URL(baseUrl);
  for (const [name, value] of query) url.searchParams.set(name, value);
  return url.href;
}
