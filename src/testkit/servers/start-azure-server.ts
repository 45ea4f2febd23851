import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { npmProgram } from '../programs/npm-program.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { setVariable } from '../set-variable.ts';
import { startServerProgram } from './start-server-program.ts';

const SOURCE = join(import.meta.dirname, '../../../test/azure-server');
export const AZURE_ACCOUNT = 'testaccount';
/** Must not be in any error or log. */
export const AZURE_KEY = Buffer.from('test-secret-0123456789-test-secret').toString('base64');

/** A server with the API of Azure Blob Storage (azurite) on a temporary directory. */
export interface AzureServer extends AsyncDisposable {
  readonly port: number;
  /** Creates a container. @returns a URL for `openStore`. */
  createContainer(): Promise<string>;
}

/**
 * Starts a server, and sets the variables with its credentials until it is disposed.
 *
 * @returns `undefined` if npm's registry, from which it is installed once, cannot be reached.
 */
export async function startAzureServer(): Promise<AzureServer | undefined> {
  const program = await npmProgram(SOURCE, 'azurite/dist/src/blob/main.js');
  if (program === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const root = makeScratchDirectory('azure');
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const context = { after: (work: () => void) => void stack.defer(work) };
  setVariable(context, 'AZURE_STORAGE_ACCOUNT', AZURE_ACCOUNT);
  setVariable(context, 'AZURE_STORAGE_KEY', AZURE_KEY);
  const port = await freePort();
  const args = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', root];
  const quiet = ['--silent', '--disableTelemetry', '--skipApiVersionCheck', '--loose'];
  stack.use(
    await startServerProgram({
      program: process.execPath,
      args: [program, ...args, ...quiet],
      port,
      env: { AZURITE_ACCOUNTS: `${AZURE_ACCOUNT}:${AZURE_KEY}` },
    }),
  );
  const running = stack.move();
  let containers = 0;
  return {
    port,
    createContainer: async () => {
      const name = `container-${containers++}`;
      await createContainer(port, name);
      return `azblob://${name}?protocol=http&domain=127.0.0.1:${port}`;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function createContainer(port: number, name: string): Promise<void> {
  const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
  const credential = new StorageSharedKeyCredential(AZURE_ACCOUNT, AZURE_KEY);
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/${AZURE_ACCOUNT}`, credential);
  await service.getContainerClient(name).create();
}
