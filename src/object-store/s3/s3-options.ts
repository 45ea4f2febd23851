import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { booleanOption, requireBucketUrl } from '../url-options.ts';

/** Settings of a URL `s3://bucket?…`. */
export interface S3Options {
  readonly bucket: string;
  readonly client: S3ClientConfig;
  /** Requests are not signed: the bucket is public. */
  readonly isAnonymous: boolean;
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

/** The SDK requests credentials before it calls a signer, also one that needs none. */
const UNSIGNED: S3ClientConfig = {
  credentials: { accessKeyId: '', secretAccessKey: '' },
  signer: { sign: async (request) => request },
};

const IGNORED = ['awssdk', 'hostname_immutable', 'rate_limiter_capacity'];
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
  if (options.has('role'))
    throw new Error('role is not supported: name a profile that has role_arn, with ?profile=');
  const bucket = requireBucketUrl(url, {
    kind: 's3',
    taken: TAKEN,
    ignored: IGNORED,
    credentials: 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  });
  return {
    bucket,
    client: clientOf(options),
    isAnonymous: booleanOption(options, 'anonymous'),
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
    ...(endpoint === undefined && booleanOption(options, 'disable_https', 'disableSSL') && { tls: false }),
    ...(booleanOption(options, 'use_path_style', 's3ForcePathStyle') && { forcePathStyle: true }),
    ...(booleanOption(options, 'accelerate') && { useAccelerateEndpoint: true }),
    ...(booleanOption(options, 'dualstack') && { useDualstackEndpoint: true }),
    ...(booleanOption(options, 'fips') && { useFipsEndpoint: true }),
    ...(booleanOption(options, 'anonymous') && UNSIGNED),
    // As in Gitaly: services other than Amazon's may not support checksums.
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
  return `${booleanOption(options, 'disable_https', 'disableSSL') ? 'http' : 'https'}://${endpoint}`;
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
