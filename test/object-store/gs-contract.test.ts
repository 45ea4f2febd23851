import { after } from 'node:test';
import { openStore } from '#object-store/open-store';
import { startGcsServer } from '#testkit/servers/start-gcs-server';
import { testObjectStore } from '#testkit/stores/object-store-contract';

const server = await startGcsServer();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined ? 'Go is not installed' : undefined;
const bucket = async (): Promise<string> => (await server?.createBucket()) ?? '';

// fake-gcs-server ignores these conditions.
const lacks = ['an object is read only if it has changed', 'an object is deleted only if it has not changed'];

testObjectStore({ name: 'gs', skip, lacks, open: async () => openStore(await bucket()) });
testObjectStore({
  name: 'gs?prefix',
  skip,
  lacks,
  open: async () => openStore(`${await bucket()}&prefix=a/b/`),
});
