import { readFile } from 'node:fs/promises';
import type { ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';

/** Bundles that the gateway serves at addresses that Gitaly signed. */
export interface BundleOptions {
  /** Bucket of the bundles, as in Gitaly's `[bundle_uri] go_cloud_url`, without `base_url`. */
  readonly url: string;
  /** File with the key of the signatures, as in its option `secret_key_path`. */
  readonly secretKeyPath: string;
}

export interface BundleSource {
  readonly store: ObjectStore;
  readonly secret: Uint8Array;
}

/** Path of the bundles. No repository has it: it does not end with a service of git. */
export const BUNDLES_PATH = '/-/bundles';

/** Opens the bundles. @throws the error of the bucket or of the file. */
export async function openBundleSource({ url, secretKeyPath }: BundleOptions): Promise<BundleSource> {
  return { store: await openStore(url), secret: await readFile(secretKeyPath) };
}
