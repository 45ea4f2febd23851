import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { goProgram } from '../programs/go-program.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { startServerProgram } from './start-server-program.ts';

const SOURCE = join(import.meta.dirname, '../../../test/gcs-server');
const PROGRAM = 'github.com/fsouza/fake-gcs-server';

/** A server with the API of Google Cloud Storage (fake-gcs-server) on a temporary directory. */
export interface GcsServer extends AsyncDisposable {
  readonly port: number;
  /** Creates a bucket. @returns a URL for `openStore`. */
  createBucket(): Promise<string>;
}

/** Starts a server. @returns `undefined` if Go, which builds it, is not installed. */
export async function startGcsServer(): Promise<GcsServer | undefined> {
  const program = await goProgram(SOURCE, { package: PROGRAM });
  if (program === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const root = makeScratchDirectory('gcs');
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const args = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-public-host', address];
  stack.use(await startServerProgram({ program, args: [...args, '-filesystem-root', root], port }));
  const running = stack.move();
  let buckets = 0;
  return {
    port,
    createBucket: async () => {
      const name = `bucket-${buckets++}`;
      const response = await fetch(`http://${address}/storage/v1/b`, {
        method: 'POST',
        body: JSON.stringify({ name }),
      });
      if (!response.ok) throw new Error(await response.text());
      await response.arrayBuffer();
      return `gs://${name}?anonymous=true&endpoint=http://${address}`;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
