import { writeFile } from 'node:fs/promises';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** Settings that apply `.gitattributes` of HEAD until the object is disposed. */
export interface HeadAttributes extends AsyncDisposable {
  readonly config: readonly ConfigPair[];
}

const NOTHING: HeadAttributes = { config: [], [Symbol.asyncDispose]: async () => {} };
const MAX_BYTES = 1 << 20;

/**
 * Returns additional settings for commands that respect `.gitattributes` of HEAD. Since git 2.43
 * none are needed (`attr.tree`). Older versions read no attributes from the tree of a bare
 * repository; they get the file of the top directory as `core.attributesFile`, which has the same
 * precedence over `info/attributes`. Files in lower directories have no effect there.
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
  return {
    config: [{ key: 'core.attributesFile', value }],
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };

  function ignoreUnlessAborted(error: unknown): undefined {
    // The command itself reports a broken HEAD, and attributes that are too large are ignored.
    if (signal?.aborted === true) throw error;
  }
}
