import { after } from 'node:test';
import { openStore } from '#object-store/open-store';
import { startAzureServer } from '#testkit/servers/start-azure-server';
import { testObjectStore } from '#testkit/stores/object-store-contract';

const server = await startAzureServer();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined ? "npm's registry cannot be reached" : undefined;
const container = async (): Promise<string> => (await server?.createContainer()) ?? '';

testObjectStore({ name: 'azblob', skip, open: async () => openStore(await container()) });
testObjectStore({
  name: 'azblob?prefix',
  skip,
  open: async () => openStore(`${await container()}&prefix=a/b/`),
});
