import { after } from 'node:test';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { testStoreFaults } from '#testkit/stores/object-store-faults';

const server = await startS3Server();
after(() => server?.[Symbol.asyncDispose]());

testStoreFaults({
  name: 's3',
  skip: server === undefined && 'Go is not installed',
  port: server?.port,
  createBucket: () => server?.createBucket(),
  addressOption: 'endpoint',
  busy: {
    body: '<Error><Code>SlowDown</Code><Message>slow down</Message></Error>',
    message: /head "key": SlowDown.*\(the service limits the rate/,
  },
  halfPage:
    '<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>',
  samePage:
    '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>' +
    '<Contents><Key>a</Key></Contents></ListBucketResult>',
  expired: {
    status: 400,
    body: '<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>',
    message: /put "key": ExpiredToken: .*\(the credentials have expired: renew them\)/,
  },
  versionHeader: 'etag',
  refusals: {
    403: '<Error><Code>AccessDenied</Code><Message>no</Message></Error>',
    409: '<Error><Code>ConditionalRequestConflict</Code><Message>another</Message></Error>',
    412: '<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>',
    conflict: 'conflict',
  },
});
