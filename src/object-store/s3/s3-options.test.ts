import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../open-store.ts';
import { parseS3Options } from './s3-options.ts';

// Options and their effects: Go Cloud 0.45, blob/s3blob and aws.
for (const [query, client] of Object.entries({
  'region=eu-west-1': { region: 'eu-west-1' },
  'profile=backups': { profile: 'backups' },
  'endpoint=https://s3.example&use_path_style=true': { endpoint: 'https://s3.example', forcePathStyle: true },
  'endpoint=minio:9000&disableSSL=true&s3ForcePathStyle=true': {
    endpoint: 'http://minio:9000',
    forcePathStyle: true,
  },
  'endpoint=minio:9000': { endpoint: 'https://minio:9000', requestChecksumCalculation: 'WHEN_REQUIRED' },
  'endpoint=a:1&request_checksum_calculation=when_supported': {
    requestChecksumCalculation: 'WHEN_SUPPORTED',
  },
  'disable_https=true': { tls: false, requestChecksumCalculation: 'WHEN_SUPPORTED' },
  'response_checksum_validation=when_required': { responseChecksumValidation: 'WHEN_REQUIRED' },
  'accelerate=1&dualstack=t&fips=T': {
    useAccelerateEndpoint: true,
    useDualstackEndpoint: true,
    useFipsEndpoint: true,
  },
})) {
  test(`s3://bucket?${query} sets ${Object.keys(client).join(', ')}`, () => {
    const options = parseS3Options(new URL(`s3://bucket?${query}`));

    assert.equal(options.bucket, 'bucket');
    assert.partialDeepStrictEqual(options.client, client);
  });
}

test('stored objects are encrypted as the URL requires', () => {
  const { encryption } = parseS3Options(new URL('s3://bucket?ssetype=aws:kms&kmskeyid=key'));

  assert.deepEqual(encryption, { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'key' });
});

test('options that are unknown or wrong are refused, and secrets in the URL are not repeated', async () => {
  const refusals = {
    's3://': /no bucket/,
    's3://bucket?regoin=x': /unknown option "regoin"/,
    's3://bucket?use_path_style=yes': /use_path_style is true or false; not "yes"/,
    's3://bucket?ssetype=rot13': /ssetype is one of AES256/,
    's3://bucket?request_checksum_calculation=never': /when_supported or when_required/,
    's3://bucket?role=arn:aws:iam::1:role/x': /role is not supported: name a profile/,
    's3://key:hush@bucket': /^(?!.*hush).*AWS_ACCESS_KEY_ID/,
  };
  for (const [url, message] of Object.entries(refusals)) await assert.rejects(openStore(url), { message });
});
