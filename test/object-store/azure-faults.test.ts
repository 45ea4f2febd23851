import { after } from 'node:test';
import { openStore } from '#object-store/open-store';
import { testStoreFaults } from '#testkit/object-store-faults';
import { startAzureServer } from '#testkit/start-azure-server';

const server = await startAzureServer();
after(() => server?.[Symbol.asyncDispose]());

testStoreFaults({
  name: 'azblob',
  skip: server === undefined && "npm's registry cannot be reached",
  open: async () => {
    const url = new URL((await server?.createContainer()) ?? '');
    return {
      port: server?.port ?? 0,
      at: (port, observer) => {
        url.searchParams.set('domain', `127.0.0.1:${port}`);
        return openStore(url.href, { ...(observer && { observer }) });
      },
    };
  },
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
});
