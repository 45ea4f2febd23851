import { after } from 'node:test';
import { openStore } from '#object-store/open-store';
import { startMotoServer } from '#testkit/servers/start-moto-server';
import { testObjectStore } from '#testkit/stores/object-store-contract';

const server = await startMotoServer();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined ? 'moto cannot be installed' : undefined;
const bucket = async (): Promise<string> => (await server?.createBucket()) ?? '';

// Its threads check a condition and store without a lock.
testObjectStore({ name: 's3 of moto', skip, open: async () => openStore(await bucket()), isAtomic: false });
