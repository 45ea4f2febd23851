import type { S3ClientConfig } from '@aws-sdk/client-s3';

/** Settings of a URL `s3://bucket?…`. */
export interface S3Options {
  readonly bucket: string;
  readonly client: S3ClientConfig;
  /** Encryption of stored objects by the service. */
  readonly encryption: {
    readonly ServerSideEncryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
    readonly SSEKMSKeyId?: string;
  };
}

/** Attempts of a request, with growing random delays between them. */
const MAX_ATTEMPTS = 5;
const CONNECT_TIMEOUT_MS = 10_000;
/** Time without any byte on a connection. */
const IDLE_TIMEOUT_MS = 60_000;
const ENCRYPTIONS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const;

/** Options without an effect here: settings of Go's library. `prefix` applies to all kinds. */
const IGNORED = ['prefix', 'awssdk', 'hostname_immutable', 'rate_limiter_capacity'];
const TAKEN = [
  'accelerate',
  'anonymous',
  'disable_https',
  'disableSSL',
  'dualstack',
  'endpoint',
  'fips',
  'kmskeyid',
  'profile',
  'region',
  'request_checksum_calculation',
  'response_checksum_validation',
  's3ForcePathStyle',
  'ssetype',
  'use_path_style',
];

/**
 * Translates the options of Go Cloud's s3blob. `disableSSL` is the name of `disable_https` in older
 * releases; an endpoint without a scheme, as they accepted, is HTTPS without it.
 *
 * @throws {Error} for unknown options and values, and a URL without bucket.
 * @see Go Cloud: blob/s3blob/s3blob.go, aws/aws.go
 */
export function parseS3Options(url: URL): S3Options {
  const options = url.searchParams;
  if (url.hostname === '') throw new Error('the URL has no bucket: write s3://bucket?region=…');
  if (url.username !== '' || url.password !== '')
    throw new Error('credentials do not belong in the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  for (const name of options.keys()) {
    if (name === 'role')
      throw new Error('role is not supported: name a profile that has role_arn, with ?profile=');
    if (!TAKEN.includes(name) && !IGNORED.includes(name))
      throw new Error(`unknown option ${JSON.stringify(name)}: an s3 URL takes ${TAKEN.join(', ')}, prefix`);
  }
  return {
    bucket: decodeURIComponent(url.hostname),
    client: clientOf(options),
    encryption: encryptionOf(options),
  };
}

function clientOf(options: URLSearchParams): S3ClientConfig {
  const endpoint = endpointOf(options);
  const [region, profile] = [options.get('region'), options.get('profile')];
  return {
    ...(region !== null && { region }),
    ...(profile !== null && { profile }),
    ...(endpoint !== undefined && { endpoint }),
    ...(endpoint === undefined && booleanOf(options, 'disable_https', 'disableSSL') && { tls: false }),
    ...(booleanOf(options, 'use_path_style', 's3ForcePathStyle') && { forcePathStyle: true }),
    ...(booleanOf(options, 'accelerate') && { useAccelerateEndpoint: true }),
    ...(booleanOf(options, 'dualstack') && { useDualstackEndpoint: true }),
    ...(booleanOf(options, 'fips') && { useFipsEndpoint: true }),
    ...(booleanOf(options, 'anonymous') && { signer: { sign: async (request) => request } }),
    // As Gitaly does: services other than Amazon's may not know checksums.
    requestChecksumCalculation: checksumMode(
      options,
      'request_checksum_calculation',
      endpoint === undefined ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
    ),
    responseChecksumValidation: checksumMode(options, 'response_checksum_validation', 'WHEN_SUPPORTED'),
    maxAttempts: MAX_ATTEMPTS,
    retryMode: 'standard',
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
  };
}

function endpointOf(options: URLSearchParams): string | undefined {
  const endpoint = options.get('endpoint');
  if (endpoint === null || endpoint === '') return undefined;
  if (/^https?:\/\//.test(endpoint)) return endpoint;
  return `${booleanOf(options, 'disable_https', 'disableSSL') ? 'http' : 'https'}://${endpoint}`;
}

function encryptionOf(options: URLSearchParams): S3Options['encryption'] {
  const [type, key] = [options.get('ssetype'), options.get('kmskeyid')];
  const ServerSideEncryption = ENCRYPTIONS.find((each) => each === type);
  if (type !== null && ServerSideEncryption === undefined)
    throw new Error(`ssetype is one of ${ENCRYPTIONS.join(', ')}; not ${JSON.stringify(type)}`);
  return {
    ...(ServerSideEncryption !== undefined && { ServerSideEncryption }),
    ...(key !== null && { SSEKMSKeyId: key }),
  };
}

function checksumMode(
  options: URLSearchParams,
  name: string,
  byDefault: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED',
): 'WHEN_SUPPORTED' | 'WHEN_REQUIRED' {
  const value = options.get(name);
  if (value === null) return byDefault;
  if (value === 'when_supported') return 'WHEN_SUPPORTED';
  if (value === 'when_required') return 'WHEN_REQUIRED';
  throw new Error(`${name} is when_supported or when_required; not ${JSON.stringify(value)}`);
}

/** Returns the value of the first of the names that is set, as Go's `strconv.ParseBool` reads it. */
function booleanOf(options: URLSearchParams, ...names: readonly string[]): boolean {
  const name = names.find((each) => options.has(each));
  const value = name === undefined ? 'false' : (options.get(name) ?? '');
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw new Error(`${name} is true or false; not ${JSON.stringify(value)}`);
}
