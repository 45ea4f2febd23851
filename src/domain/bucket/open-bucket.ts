import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from '#base/files/make-directory';
import { systemErrorCode } from '#base/go/system-error';
import type { Bucket } from './bucket.ts';
import { DirectoryBucket, type UrlSigner } from './directory-bucket.ts';
import { MemoryBucket } from './memory-bucket.ts';

/** The URL names a kind of bucket that this server cannot use. */
export class UnsupportedBucketError extends Error {
  override readonly name = 'UnsupportedBucketError';
}

/**
 * Opens the bucket of a URL: `file:///directory` or a path, `mem://`.
 *
 * Of the options of Go's library, `create_dir=true` creates the directory, `base_url` and
 * `secret_key_path` sign public addresses; others have no effect.
 *
 * @throws {UnsupportedBucketError} for other kinds; {Error} when the directory is missing.
 */
export async function openBucket(url: string): Promise<Bucket> {
  const { protocol, directory, options } = parse(url);
  if (protocol === 'mem:') return new MemoryBucket();
  if (protocol !== 'file:')
    throw new UnsupportedBucketError(
      `buckets of the kind ${JSON.stringify(protocol.slice(0, -1))} are not built: use file:///directory`,
    );
  if (options.get('create_dir') === 'true') await makeDirectory(directory);
  await requireDirectory(directory);
  return new DirectoryBucket(directory, await signer(options));
}

function parse(url: string): { protocol: string; directory: string; options: URLSearchParams } {
  if (!/^[a-z][a-z0-9+.-]*:/.test(url))
    return {
      protocol: 'file:',
      directory: path.resolve(url),
      options: new URLSearchParams('create_dir=true'),
    };
  const { protocol, pathname, searchParams } = new URL(url);
  const directory = protocol === 'file:' ? fileURLToPath(`file://${pathname}`) : '';
  return { protocol, directory: path.resolve(directory), options: searchParams };
}

async function requireDirectory(directory: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new Error(`${directory} does not exist: create it, or add ?create_dir=true to the URL`, {
      cause: error,
    });
  }
  throw new Error(`${directory} is not a directory`);
}

async function signer(options: URLSearchParams): Promise<UrlSigner | undefined> {
  const [baseUrl, secretFile] = [options.get('base_url'), options.get('secret_key_path')];
  if (baseUrl === null || secretFile === null) return undefined;
  return { baseUrl, secret: await readFile(secretFile) };
}
