import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from '#base/files/make-directory';
import { systemErrorCode } from '#base/go/system-error';
import { openAzure } from './azure/open-azure.ts';
import { DirectoryStore } from './file/directory-store.ts';
import type { UrlSigner } from './file/sign-url.ts';
import { openGcs } from './gs/open-gcs.ts';
import { MemoryObjectStore } from './memory/memory-store.ts';
import { requirePrefix } from './object-key.ts';
import type { ObjectStore } from './object-store.ts';
import { ObservedStore, type StoreObserver } from './observed-store.ts';
import { PrefixedStore } from './prefixed-store.ts';
import type { NoteRetry } from './retry.ts';
import { openS3 } from './s3/open-s3.ts';
import { UnsupportedStoreError } from './store-error.ts';

export interface OpenStoreOptions {
  /** Receives all operations. */
  readonly observer?: StoreObserver;
  /** Size of the parts of a large object in bytes. Default: the service's. */
  readonly partBytes?: number;
}

/** The services, by the scheme of their URLs. */
const SERVICES: Readonly<Record<string, typeof openS3>> = {
  's3:': openS3,
  'gs:': openGcs,
  'azblob:': openAzure,
};

/**
 * Opens the store of a URL: `file:///directory` or a path, `mem://`, `s3://bucket`, `gs://bucket`,
 * `azblob://container`. The forms and options are those of Go Cloud; `s3/s3-options.ts`,
 * `gs/gcs-options.ts` and `azure/azure-options.ts` have those of the services.
 *
 * | option                        | kinds | effect                                            |
 * | ----------------------------- | ----- | ------------------------------------------------- |
 * | `prefix`                      | all   | begins all keys; ends with `/` if it is a folder  |
 * | `create_dir=false`            | file  | refuses a directory that is missing               |
 * | `base_url`, `secret_key_path` | file  | sign the URLs for clients                         |
 *
 * @throws {UnsupportedStoreError} for other kinds, and without the package of a kind; {Error} when
 *   the directory is missing and not to be created, and for wrong options.
 */
export async function openStore(
  url: string,
  { partBytes = 0, observer }: OpenStoreOptions = {},
): Promise<ObjectStore> {
  const { protocol, directory, options } = parse(url);
  const kind = protocol.slice(0, -1);
  const service = SERVICES[protocol];
  const onRetry: NoteRetry = (operation, times = 1) => observer?.retried(kind, operation, times);
  const store =
    service === undefined
      ? await openLocal(protocol, directory, options)
      : await service(new URL(url), { partBytes, onRetry });
  const prefix = options.get('prefix') ?? '';
  requirePrefix(prefix);
  const observed = observer === undefined ? store : new ObservedStore(store, kind, observer);
  return prefix === '' ? observed : new PrefixedStore(observed, prefix);
}

/** Returns the directory of a URL; `undefined` for a bucket that is not a directory. */
export function localDirectoryOf(url: string): { path: string; isCreated: boolean } | undefined {
  const { protocol, directory, options } = parse(url);
  if (protocol !== 'file:') return undefined;
  return { path: directory, isCreated: isCreated(options) };
}

async function openLocal(
  protocol: string,
  directory: string,
  options: URLSearchParams,
): Promise<ObjectStore> {
  if (protocol === 'mem:') return new MemoryObjectStore();
  if (protocol !== 'file:')
    throw new UnsupportedStoreError(
      `buckets of the kind ${JSON.stringify(protocol.slice(0, -1))} are not built: ` +
        'use s3://bucket, gs://bucket, azblob://container or file:///directory',
    );
  await requireDirectory(directory, isCreated(options));
  return new DirectoryStore(directory, await signer(options));
}

function parse(url: string): { protocol: string; directory: string; options: URLSearchParams } {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(url))
    return {
      protocol: 'file:',
      directory: path.resolve(url),
      options: new URLSearchParams(),
    };
  const { protocol, pathname, searchParams } = new URL(url);
  const directory = protocol === 'file:' ? fileURLToPath(`file://${pathname}`) : '';
  return { protocol, directory: path.resolve(directory), options: searchParams };
}

/** Gitaly creates missing directories, with and without the option. */
function isCreated(options: URLSearchParams): boolean {
  return options.get('create_dir') !== 'false';
}

async function requireDirectory(directory: string, isMade: boolean): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    if (isMade) return await makeDirectory(directory, { mode: 0o700 });
    throw new Error(`${directory} does not exist: create it, or remove create_dir=false from the URL`, {
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
