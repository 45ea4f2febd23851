import { createSign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { GoogleAuth } from 'google-auth-library';
import { abortable } from '#base/async/abortable';
import { isError } from '#base/is-error';
import { UnsupportedStoreError } from '../store-error.ts';
import type { GcsOptions } from './gcs-options.ts';

const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';
const SIGNING_SCOPE = 'https://www.googleapis.com/auth/iam';

/** A service account that signs URLs. */
export interface GcsSigner {
  readonly email: string;
  /** Returns the RSA signature of a text, in base64. */
  readonly sign: (text: string) => Promise<string>;
}

/** Credentials of requests. */
export interface GcsAuth {
  /** Returns the headers of a request. */
  headers(signal: AbortSignal): Promise<Record<string, string>>;
  /** Discards the token, which the service did not accept. @returns whether another can be had. */
  renew(): boolean;
  /** Returns the account that signs; `undefined` if there is none. */
  signer(signal: AbortSignal): Promise<GcsSigner | undefined>;
}

/**
 * Opens the credentials of a bucket: Google's own chain (file, workload identity, metadata of the
 * instance), or none.
 *
 * @throws {UnsupportedStoreError} if the library is needed and not installed.
 */
export async function openGcsAuth(options: GcsOptions): Promise<GcsAuth> {
  const { accessId, privateKeyPath, isAnonymous, universeDomain } = options;
  const key = privateKeyPath === undefined ? undefined : await readFile(privateKeyPath, 'utf8');
  const own = key === undefined || accessId === undefined ? undefined : keySigner(accessId, key);
  if (isAnonymous) return { headers: async () => ({}), renew: () => false, signer: async () => own };
  const { GoogleAuth } = await loadLibrary();
  const open = () =>
    new GoogleAuth({
      scopes: [SCOPE, SIGNING_SCOPE],
      projectId: 'unused', // requests for objects have none; without it the library runs gcloud
      ...(universeDomain !== undefined && { universeDomain }),
    });
  return new LibraryAuth(open, { own, accessId });
}

class LibraryAuth implements GcsAuth {
  readonly #open: () => GoogleAuth;
  readonly #signing: { readonly own: GcsSigner | undefined; readonly accessId: string | undefined };
  #auth: GoogleAuth;

  constructor(
    open: () => GoogleAuth,
    signing: { readonly own: GcsSigner | undefined; readonly accessId: string | undefined },
  ) {
    this.#open = open;
    this.#signing = signing;
    this.#auth = open();
  }

  async headers(signal: AbortSignal): Promise<Record<string, string>> {
    const client = await abortable(this.#auth.getClient(), signal);
    return Object.fromEntries(await abortable(client.getRequestHeaders(), signal));
  }

  renew(): boolean {
    this.#auth = this.#open();
    return true;
  }

  async signer(signal: AbortSignal): Promise<GcsSigner | undefined> {
    const { own, accessId } = this.#signing;
    if (own !== undefined) return own;
    const { client_email } = await abortable(this.#auth.getCredentials(), signal);
    const email = accessId ?? client_email;
    if (email === undefined || email !== client_email) return undefined;
    return { email, sign: (text) => abortable(this.#auth.sign(text), signal) };
  }
}

function keySigner(email: string, key: string): GcsSigner {
  return { email, sign: async (text) => createSign('RSA-SHA256').update(text).sign(key, 'base64') };
}

async function loadLibrary(): Promise<typeof import('google-auth-library')> {
  try {
    return await import('google-auth-library');
  } catch (error) {
    if (!isError(error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UnsupportedStoreError(
      'buckets of Google Cloud Storage need a package: npm install google-auth-library',
      { cause: error },
    );
  }
}
