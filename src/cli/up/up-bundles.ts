import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeDirectory } from '#base/files/make-directory';
import type { BundleOptions } from '#gateway/index';

const SECRET_BYTES = 32;
const SECRET_MODE = 0o600;

/** Bundles for clones: the server makes them, the gateway serves them. */
export interface UpBundles {
  readonly gateway: BundleOptions;
  /** `[bundle_uri]` of the server. */
  readonly server: { readonly automatic: true; readonly go_cloud_url: string };
}

/**
 * Prepares the directory of the bundles, and a new key for their addresses.
 *
 * @param bundleUrl address of the bundles for clients.
 */
export async function prepareBundles(directory: string, bundleUrl: string): Promise<UpBundles> {
  const bundles = join(directory, 'bundles');
  await makeDirectory(bundles);
  const secretKeyPath = join(directory, 'bundles.key');
  await writeFile(secretKeyPath, randomBytes(SECRET_BYTES), { mode: SECRET_MODE });
  await chmod(secretKeyPath, SECRET_MODE); // the file may be an older one
  const { href: url } = pathToFileURL(bundles);
  const signing = new URLSearchParams({ base_url: bundleUrl, secret_key_path: secretKeyPath });
  return {
    gateway: { url, secretKeyPath },
    server: { automatic: true, go_cloud_url: `${url}?${signing}` },
  };
}
