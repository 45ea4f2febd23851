import { after } from 'node:test';
import { startGcsServer } from '#testkit/servers/start-gcs-server';
import { testStoreFaults } from '#testkit/stores/object-store-faults';

const server = await startGcsServer();
after(() => server?.[Symbol.asyncDispose]());

testStoreFaults({
  name: 'gs',
  skip: server === undefined && 'Go is not installed',
  port: server?.port,
  createBucket: () => server?.createBucket(),
  addressOption: 'endpoint',
  busy: {
    body: '{"error":{"code":503,"message":"slow down","errors":[{"reason":"rateLimitExceeded"}]}}',
    message: /head "key": rateLimitExceeded: slow down \(the service limits the rate/,
  },
  halfPage: '{"items":[{"name":"a","size":"1"}],"nextPageToken":"same"}',
  expired: {
    status: 401,
    body: '{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}',
    message: /put "key": authError: Invalid Credentials \(the credentials are invalid or have expired/,
  },
  versionHeader: 'x-goog-generation',
  refusals: {
    403: '{"error":{"message":"no","errors":[{"reason":"forbidden"}]}}',
    409: '{"error":{"message":"another","errors":[{"reason":"conflict"}]}}',
    412: '{"error":{"message":"no","errors":[{"reason":"conditionNotMet"}]}}',
    conflict: 'conflict',
  },
});
