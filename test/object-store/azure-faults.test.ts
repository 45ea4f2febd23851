import { after } from 'node:test';
import { startAzureServer } from '#testkit/servers/start-azure-server';
import { testStoreFaults } from '#testkit/stores/object-store-faults';

const server = await startAzureServer();
after(() => server?.[Symbol.asyncDispose]());

testStoreFaults({
  name: 'azblob',
  skip: server === undefined && "npm's registry cannot be reached",
  port: server?.port,
  createBucket: () => server?.createContainer(),
  addressOption: 'domain',
  busy: {
    body: '<Error><Code>ServerBusy</Code><Message>slow down</Message></Error>',
    message: /head "key": ServerBusy.*\(the service limits the rate/,
  },
  halfPage:
    '<EnumerationResults><Blobs><Blob><Name>a</Name><Properties></Properties></Blob></Blobs>' +
    '<NextMarker>same</NextMarker></EnumerationResults>',
  expired: {
    status: 403,
    body: '<Error><Code>AuthenticationFailed</Code><Message>Signature is too old</Message></Error>',
    message: /put "key": AuthenticationFailed: .*the SAS token, and the clock/,
  },
  versionHeader: 'etag',
  refusals: {
    403: '<Error><Code>AuthorizationPermissionMismatch</Code><Message>no</Message></Error>',
    409: '<Error><Code>BlobAlreadyExists</Code><Message>exists</Message></Error>',
    412: '<Error><Code>ConditionNotMet</Code><Message>no</Message></Error>',
    conflict: 'changed',
  },
});
