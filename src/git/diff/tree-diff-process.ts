import type { CommandRepository } from '../command/command-repository.ts';
import type { GitProcess } from '../command/process/git-process.ts';
import { OID_DIGITS } from '../names/object-id.ts';
import { patchesCommand } from './commands.ts';

/**
 * Cache size for a process that is kept; git's default of 96 MiB suits one that ends. A diff of
 * 5,000 files of 8 KB takes a third longer with 16 MiB.
 */
const DELTA_BASE_CACHE = '32m';

/** Starts a `diff-tree` that compares pairs of trees with the attributes of `attributeTree`. */
export function startTreeDiff(repository: CommandRepository, attributeTree: string): GitProcess {
  const command = patchesCommand(OID_DIGITS[repository.objectFormat]);
  const config = [
    { key: 'attr.tree', value: attributeTree },
    { key: 'core.deltaBaseCacheLimit', value: DELTA_BASE_CACHE },
  ];
  return repository.spawn(command, { config, stdin: 'pipe' });
}
