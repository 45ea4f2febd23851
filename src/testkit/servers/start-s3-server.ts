import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { goProgram } from '../programs/go-program.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { setVariable } from '../set-variable.ts';
import { type RunningProgram, startServerProgram } from './start-server-program.ts';

const SOURCE = join(import.meta.dirname, '../../../test/s3-server');
const PROGRAM = 'github.com/versity/versitygw/cmd/versitygw';
const ACCESS_KEY = 'test-access-key';
/** Must not be in any error or log. */
export const S3_SECRET = 'test-secret-0123456789';

/** A real S3 server (versitygw) on a temporary directory. */
export interface S3Server extends RunningProgram {
  readonly port: number;
  /** Directory of the server: one folder for each bucket, with a file for each object. */
  readonly directory: string;
  /** Creates a bucket. @returns a URL for `openStore`. */
  createBucket(): Promise<string>;
}

/**
 * Starts an S3 server, and sets the variables with its credentials until it is disposed.
 *
 * @returns `undefined` if Go, which builds the server, is not installed.
 */
export async function startS3Server(): Promise<S3Server | undefined> {
  const program = await goProgram(SOURCE, { package: PROGRAM });
  if (program === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const root = makeScratchDirectory('s3');
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const [directory, facts] = [join(root, 'buckets'), join(root, 'facts')];
  for (const each of [directory, facts]) mkdirSync(each);
  const port = await freePort();
  const context = { after: (work: () => void) => void stack.defer(work) };
  setVariable(context, 'AWS_ACCESS_KEY_ID', ACCESS_KEY);
  setVariable(context, 'AWS_SECRET_ACCESS_KEY', S3_SECRET);
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', facts, directory];
  const env = { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: S3_SECRET };
  const server = stack.use(await startServerProgram({ program, args, port, env }));
  const running = stack.move();
  let buckets = 0;
  return {
    port,
    directory,
    createBucket: () => createBucket(port, `bucket-${buckets++}`),
    kill: server.kill,
    restart: server.restart,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Creates a bucket on a server of this machine. @returns a URL for `openStore`. */
export async function createBucket(port: number, Bucket: string): Promise<string> {
  const { CreateBucketCommand, S3Client } = await import('@aws-sdk/client-s3');
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket }));
  client.destroy();
  return `s3://${Bucket}?region=us-east-1&endpoint=${endpoint}&use_path_style=true`;
}
