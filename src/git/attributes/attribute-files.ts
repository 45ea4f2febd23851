import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import type { ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';
import type { AttributeFile } from './tree-attributes.ts';

/** Larger files of attributes take milliseconds to parse. */
const MAX_ATTRIBUTES_BYTES = 32 * 1024;
const SLASH = 0x2f;
const FILE = Buffer.from('.gitattributes');

/**
 * Finds the `.gitattributes` of a tree that apply to some paths, for `TreeAttributes.read`.
 *
 * @param tree Any name of the tree, or of a commit.
 * @throws {FallBackToGit} for large ones, and those that cannot be read; the signal's reason when
 *   it is aborted.
 */
export async function attributeFilesFor(
  { objects }: GitRepository,
  tree: string,
  paths: readonly Buffer[],
  options: ReadOptions,
): Promise<AttributeFile[]> {
  const files: AttributeFile[] = [];
  for (const directory of directoriesOf(paths)) {
    const slash = directory.length === 0 ? [] : [Buffer.of(SLASH)];
    const place = Buffer.concat([Buffer.from(`${tree}:`), directory, ...slash, FILE]);
    const found = await objects.info(place, options).catch(fallBackOnFailure);
    if (found?.type !== 'blob') continue;
    if (found.size > MAX_ATTRIBUTES_BYTES) throw new FallBackToGit('a file of attributes is large');
    files.push({ directory, oid: found.oid });
  }
  return files;
}

/** Returns the directories above some paths, the top one included, each once. */
function directoriesOf(paths: readonly Buffer[]): Buffer[] {
  const found = new Map<string, Buffer>([['', Buffer.alloc(0)]]);
  for (const path of paths) {
    for (let end = path.lastIndexOf(SLASH); end > 0; end = path.lastIndexOf(SLASH, end - 1)) {
      const directory = path.subarray(0, end);
      const key = directory.toString('latin1');
      if (found.has(key)) break;
      found.set(key, directory);
    }
  }
  return [...found.values()];
}
