import { isError } from '#base/is-error';
import { UnsupportedStoreError } from '../store-error.ts';

/** The vendor's library, which is loaded only if a container is configured. */
export type AzureSdk = typeof import('@azure/storage-blob');

/** Loads the SDK. @throws {UnsupportedStoreError} if it is not installed. */
export async function loadAzureSdk(): Promise<AzureSdk> {
  return await loaded(() => import('@azure/storage-blob'), 'npm install @azure/storage-blob');
}

/** Loads the chain of credentials. @throws {UnsupportedStoreError} if it is not installed. */
export async function loadAzureIdentity(): Promise<typeof import('@azure/identity')> {
  return await loaded(
    () => import('@azure/identity'),
    'set AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_CONNECTION_STRING, or ' +
      'npm install @azure/identity',
  );
}

async function loaded<T>(load: () => Promise<T>, advice: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!isError(error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UnsupportedStoreError(`containers of Azure need a package: ${advice}`, { cause: error });
  }
}
