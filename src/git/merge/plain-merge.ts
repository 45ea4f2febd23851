import { attributeFilesFor } from '../attributes/attribute-files.ts';
import { TreeAttributes } from '../attributes/tree-attributes.ts';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { hasPlainSettings } from '../diff/plain-settings.ts';
import type { ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';

/** Limit of comparing the path with patterns. */
const MAX_STEPS = 100_000;

/**
 * Checks that git merges a file line by line with its default settings.
 *
 * @throws {FallBackToGit} when a setting or the attribute `merge` may change how; the signal's
 *   reason when it is aborted.
 */
export async function requirePlainMerge(
  repository: GitRepository,
  path: Buffer,
  options: ReadOptions,
): Promise<void> {
  if (!hasPlainSettings(repository, 'merge-tree'))
    throw new FallBackToGit('settings may change how files are merged');
  // git reads the settings of HEAD for all merges.
  const files = repository.git.capabilities.attrTree
    ? await attributeFilesFor(repository, 'HEAD', [path], options)
    : [];
  const tree = await TreeAttributes.read(repository, repository.objects, files, options);
  const [attributes] = await tree.of([path], { ...options, maxSteps: MAX_STEPS }).catch(fallBackOnFailure);
  if (attributes?.has('merge') !== false)
    throw new FallBackToGit('an attribute changes how a file is merged');
}
