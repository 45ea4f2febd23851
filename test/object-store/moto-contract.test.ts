import { after } from 'node:test';
import { openStore } from '#object-store/open-store';
import { testObjectStore } from '#testkit/object-store-contract';
import { startMotoServer } from '#testkit/start-moto-server';

const server = await startMotoServer();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined ? 'moto cannot be installed' : undefined;
const bucket = async (): Promise<string> => (await server?.createBucket()) ?? '';

// Its threads check a condition and store without a lock.
testObjectStore({ name: 's3 of moto', skip, open: async () => openStore(await bucket()), isAtomic: false });
