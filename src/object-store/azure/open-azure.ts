import type { BlobServiceClient, BlockBlobClient, StoragePipelineOptions } from '@azure/storage-blob';
import { isError } from '#base/is-error';
import type { ObjectStore } from '../object-store.ts';
import type { OpenServiceOptions } from '../retry.ts';
import { UnsupportedStoreError } from '../store-error.ts';
import { type AzureOptions, parseAzureOptions } from './azure-options.ts';
import { AzureStore, type AzureStoreOptions } from './azure-store.ts';

const DEFAULT_PART_BYTES = 5 * 1024 * 1024;
/** Time before the expiry of a URL from which the service checks the key that signed it. */
const CLOCK_SKEW_MS = 15 * 60_000;
/** The store repeats requests itself: it counts them and waits for random times. */
const PIPELINE: StoragePipelineOptions = { retryOptions: { maxTries: 1 } };

/**
 * Opens the container of a URL `azblob://container?…`. No request is sent.
 *
 * @param partBytes bytes of a block; 0 selects the default.
 * @throws {UnsupportedStoreError} if a package is not installed; {Error} for a wrong option.
 */
export async function openAzure(url: URL, { partBytes, onRetry }: OpenServiceOptions): Promise<ObjectStore> {
  const options = parseAzureOptions(url, process.env);
  const sdk = await loadAzureSdk();
  const service = await serviceOf(sdk, options);
  return new AzureStore({
    container: service.getContainerClient(options.container),
    partBytes: partBytes === 0 ? DEFAULT_PART_BYTES : partBytes,
    onRetry,
    sign: signerOf(sdk, service, options),
  });
}

async function serviceOf(
  sdk: AzureSdk,
  { credential, serviceUrl }: AzureOptions,
): Promise<BlobServiceClient> {
  switch (credential.kind) {
    case 'sharedKey': {
      const key = new sdk.StorageSharedKeyCredential(credential.account, credential.key);
      return new sdk.BlobServiceClient(serviceUrl, key, PIPELINE);
    }
    case 'sas':
      return new sdk.BlobServiceClient(serviceUrl, new sdk.AnonymousCredential(), PIPELINE);
    case 'connectionString':
      return sdk.BlobServiceClient.fromConnectionString(credential.text, PIPELINE);
    case 'chain': {
      const { DefaultAzureCredential } = await loadAzureIdentity();
      return new sdk.BlobServiceClient(serviceUrl, new DefaultAzureCredential(), PIPELINE);
    }
  }
}

/** Signs with the key of the account, or with a key of the identity that the service issues. */
function signerOf(
  sdk: AzureSdk,
  service: BlobServiceClient,
  { credential }: AzureOptions,
): AzureStoreOptions['sign'] {
  const permissions = sdk.BlobSASPermissions.parse('r');
  if (credential.kind === 'chain')
    return async (blob: BlockBlobClient, expiresOn, abortSignal) => {
      const startsOn = new Date(Date.now() - CLOCK_SKEW_MS);
      const key = await service.getUserDelegationKey(startsOn, expiresOn, { abortSignal });
      return await blob.generateUserDelegationSasUrl({ permissions, expiresOn }, key);
    };
  if (service.credential instanceof sdk.StorageSharedKeyCredential)
    return (blob, expiresOn) => blob.generateSasUrl({ permissions, expiresOn });
  return async () => undefined; // a SAS token is a secret of the server
}

/** The vendor's library, which is loaded only if a container is configured. */
type AzureSdk = typeof import('@azure/storage-blob');

/** Loads the SDK. @throws {UnsupportedStoreError} if it is not installed. */
async function loadAzureSdk(): Promise<AzureSdk> {
  return await loaded(() => import('@azure/storage-blob'), 'npm install @azure/storage-blob');
}

/** Loads the chain of credentials. @throws {UnsupportedStoreError} if it is not installed. */
async function loadAzureIdentity(): Promise<typeof import('@azure/identity')> {
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
