import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeDirectory } from '#base/files/make-directory';
import { replaceFile } from '#base/files/replace-file';
import type { BundleOptions } from '#gateway/index';

const SECRET_BYTES = 32;

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
  await replaceFile(secretKeyPath, randomBytes(SECRET_BYTES), { durable: false });
  const { href: url } = pathToFileURL(bundles);
  const signing = new URLSearchParams({ base_url: bundleUrl, secret_key_path: secretKeyPath });
  return {
    gateway: { url, secretKeyPath },
    server: { automatic: true, go_cloud_url: `${url}?${signing}` },
  };
}
