import { objectKey } from '#object-store/object-key';
import type { ObjectStore, PutCondition } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import type { Repository } from '#storage/repository';
import { type BundleChain, formatChain, parseChain } from './bundle-chain.ts';

/** Limit of a chain's file; a longer one is not ours. */
const MAX_BYTES = 1024 * 1024;

/** A chain, and the state of its file for a conditional replacement. */
export interface StoredChain {
  readonly chain: BundleChain | undefined;
  readonly condition: PutCondition;
}

/** Returns the folder of a repository's bundles in the bucket. */
export function bundleFolder(
  { relativePath }: Pick<Repository, 'relativePath'>,
  storageName: string,
): string {
  return objectKey(storageName, relativePath, 'uri');
}

export async function readChain(
  bucket: ObjectStore,
  folder: string,
  signal: AbortSignal,
): Promise<StoredChain> {
  const key = fileOf(folder);
  const facts = await bucket.head(key, { signal });
  if (facts === undefined) return { chain: undefined, condition: 'absent' };
  const condition = { version: facts.version };
  try {
    const content = await Array.fromAsync(
      bucket.get(key, { signal, range: { start: 0, length: MAX_BYTES } }),
    );
    return { chain: parseChain(Buffer.concat(content).toString()), condition };
  } catch (error) {
    if (error instanceof MissingObjectError) return { chain: undefined, condition: 'absent' };
    throw error;
  }
}

/** Replaces the chain of a folder. @throws {PreconditionError} if another server was faster. */
export async function writeChain(
  bucket: ObjectStore,
  folder: string,
  { chain, onlyIf, signal }: { chain: BundleChain; onlyIf: PutCondition; signal: AbortSignal },
): Promise<void> {
  const content = Buffer.from(formatChain(chain));
  const pieces = async function* (): AsyncGenerator<Buffer> {
    yield content;
  };
  await bucket.put(fileOf(folder), pieces(), { signal, onlyIf, sizeBytes: content.length });
}

function fileOf(folder: string): string {
  return `${folder}/chain.json`;
}
