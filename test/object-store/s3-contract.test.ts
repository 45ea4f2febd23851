import { after } from 'node:test';
import { openStore } from '#object-store/open-store';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { testObjectStore } from '#testkit/stores/object-store-contract';

const server = await startS3Server();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined ? 'Go is not installed' : undefined;
const bucket = async (): Promise<string> => (await server?.createBucket()) ?? '';

testObjectStore({ name: 's3', skip, open: async () => openStore(await bucket()) });
testObjectStore({ name: 's3?prefix', skip, open: async () => openStore(`${await bucket()}&prefix=a/b/`) });
