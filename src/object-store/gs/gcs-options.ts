import { booleanOption, requireBucketUrl } from '../url-options.ts';

/** Settings of a URL `gs://bucket?…`. */
export interface GcsOptions {
  readonly bucket: string;
  /** Address of the service, without a path. */
  readonly endpoint: string;
  /** Requests are sent without credentials: an emulator, or a public bucket. */
  readonly isAnonymous: boolean;
  /** Domain of another cloud than Google's public one. */
  readonly universeDomain: string | undefined;
  /** Service account that signs URLs; default: the account of the credentials. */
  readonly accessId: string | undefined;
  /** File with the private key of `accessId`. */
  readonly privateKeyPath: string | undefined;
}

const TAKEN = ['access_id', 'anonymous', 'endpoint', 'private_key_path', 'universe_domain'];
const DEFAULT_UNIVERSE = 'googleapis.com';

/**
 * Translates the options of Go Cloud's gcsblob, and `endpoint`, which is ours.
 *
 * @throws {Error} for unknown options and values, and a URL without bucket.
 * @see Go Cloud: blob/gcsblob/gcsblob.go
 */
export function parseGcsOptions(url: URL, environment: NodeJS.ProcessEnv): GcsOptions {
  const options = url.searchParams;
  const bucket = requireBucketUrl(url, {
    kind: 'gs',
    taken: TAKEN,
    ignored: [],
    credentials: 'GOOGLE_APPLICATION_CREDENTIALS',
  });
  const emulator = environment.STORAGE_EMULATOR_HOST ?? '';
  const [accessId, keyPath] = [options.get('access_id') ?? '', options.get('private_key_path') ?? ''];
  if (keyPath !== '' && (accessId === '' || accessId === '-'))
    throw new Error('private_key_path needs the service account of the key: add &access_id=');
  const universeDomain = options.get('universe_domain') || undefined;
  return {
    bucket,
    endpoint: endpointOf(options.get('endpoint') ?? '', emulator, universeDomain),
    isAnonymous: booleanOption(options, 'anonymous') || accessId === '-' || emulator !== '',
    universeDomain,
    accessId: accessId === '' || accessId === '-' ? undefined : accessId,
    privateKeyPath: keyPath === '' ? undefined : keyPath,
  };
}

function endpointOf(endpoint: string, emulator: string, universe = DEFAULT_UNIVERSE): string {
  if (emulator !== '') return originOf('STORAGE_EMULATOR_HOST', emulator, 'http');
  if (endpoint !== '') return originOf('endpoint', endpoint, 'https');
  return originOf('universe_domain', `storage.${universe}`, 'https');
}

function originOf(name: string, address: string, scheme: string): string {
  const url = URL.parse(/^https?:\/\//.test(address) ? address : `${scheme}://${address}`);
  if (url === null)
    throw new Error(`${name} is an address such as host:port; not ${JSON.stringify(address)}`);
  return url.origin;
}
