import { freePort } from '#base/network/listening-port';
import { pythonWith } from '../programs/python-with.ts';
import { setVariable } from '../set-variable.ts';
import { createBucket } from './start-s3-server.ts';
import { startServerProgram } from './start-server-program.ts';

/** Another implementation of S3 than versitygw (moto), which keeps its objects in memory. */
export interface MotoServer extends AsyncDisposable {
  readonly port: number;
  /** Creates a bucket. @returns a URL for `openStore`. */
  createBucket(): Promise<string>;
}

/**
 * Starts a server, and sets the variables with credentials until it is disposed.
 *
 * @returns `undefined` without Python, or if its packages cannot be installed.
 */
export async function startMotoServer(): Promise<MotoServer | undefined> {
  const program = await pythonWith('moto', ['moto[s3,server]==5.2.1']);
  if (program === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const port = await freePort();
  const context = { after: (work: () => void) => void stack.defer(work) };
  setVariable(context, 'AWS_ACCESS_KEY_ID', 'test-access-key');
  setVariable(context, 'AWS_SECRET_ACCESS_KEY', 'test-secret-key');
  const args = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  stack.use(await startServerProgram({ program, args, port }));
  const running = stack.move();
  let buckets = 0;
  return {
    port,
    createBucket: () => createBucket(port, `bucket-${buckets++}`),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
