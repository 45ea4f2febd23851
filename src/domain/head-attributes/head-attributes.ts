import { writeFile } from 'node:fs/promises';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** Settings that put `.gitattributes` of HEAD in force, for as long as the object is not disposed. */
export interface HeadAttributes extends AsyncDisposable {
  readonly config: readonly ConfigPair[];
}

const NOTHING: HeadAttributes = { config: [], [Symbol.asyncDispose]: async () => {} };
const MAX_BYTES = 1 << 20;

/**
 * For commands that heed `.gitattributes` of HEAD: what they need for that beside what git does by itself. Since 2.43 that is nothing (`attr.tree`).
 * Older gits read no attributes from the tree of a bare repository; they get the file of the top directory as `core.attributesFile`, which comes in
 * the same place before `info/attributes`. Files in lower directories have no effect there.
 */
export async function headAttributes(
  repository: Repository,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<HeadAttributes> {
  if (repository.git.capabilities.attrTree) return NOTHING;
  const file = await repository.objects
    .readObject('HEAD:.gitattributes', { maxBytes: MAX_BYTES, signal })
    .catch(ignoreUnlessAborted);
  if (file?.type !== 'blob') return NOTHING;
  const directory = await createTempDirectory(repository.storage, 'attributes-');
  const value = `${directory.path}/gitattributes`;
  await writeFile(value, file.data);
  return { config: [{ key: 'core.attributesFile', value }], [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };

  function ignoreUnlessAborted(error: unknown): undefined {
    // A broken HEAD is for the command itself to complain about, and attributes that are too large are none.
    if (signal?.aborted === true) throw error;
  }
}
