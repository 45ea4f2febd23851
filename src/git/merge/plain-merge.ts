import { type AttributeFile, TreeAttributes } from '#git/attributes/tree-attributes';
import { hasPlainSettings } from '#git/diff/plain-settings';
import { FallBackToGit, fallBackOnFailure } from '#git/in-process';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';

/** Larger files of attributes take milliseconds to parse. */
const MAX_ATTRIBUTES_BYTES = 32 * 1024;
/** Limit of comparing the path with patterns. */
const MAX_STEPS = 100_000;
const SLASH = 0x2f;

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
  const files = repository.git.capabilities.attrTree ? await attributeFiles(repository, path, options) : [];
  const tree = await TreeAttributes.read(repository, repository.objects, files, options);
  const [attributes] = await tree.of([path], { ...options, maxSteps: MAX_STEPS }).catch(fallBackOnFailure);
  if (attributes?.has('merge') !== false)
    throw new FallBackToGit('an attribute changes how a file is merged');
}

/** Finds the `.gitattributes` of HEAD that apply to a path: git reads those of HEAD for all merges. */
async function attributeFiles(
  { objects }: GitRepository,
  path: Buffer,
  options: ReadOptions,
): Promise<AttributeFile[]> {
  const files: AttributeFile[] = [];
  for (let end = path.lastIndexOf(SLASH); ; end = path.lastIndexOf(SLASH, end - 1)) {
    const directory = path.subarray(0, Math.max(end, 0));
    const place = Buffer.concat([
      Buffer.from('HEAD:'),
      path.subarray(0, end + 1),
      Buffer.from('.gitattributes'),
    ]);
    const found = await objects.info(place, options).catch(fallBackOnFailure);
    if (found?.type === 'blob') {
      if (found.size > MAX_ATTRIBUTES_BYTES) throw new FallBackToGit('a file of attributes is large');
      files.push({ directory, oid: found.oid });
    }
    if (end <= 0) return files;
  }
}
