import { outputBytes } from '../command/output.ts';
import { OID_DIGITS } from '../names/object-id.ts';
import type { GitRepository } from '../repository.ts';
import { rawCommand, type Sides } from './commands.ts';
import { treeOutput } from './tree-output.ts';

/**
 * Yields the output of {@link rawCommand}, for `parseRawRecords`.
 *
 * @throws {GitalyError} for words that git must not receive; the iteration throws like {@link
 *   outputBytes}.
 */
export function rawOutput(
  repository: GitRepository,
  sides: Sides,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const hexLength = OID_DIGITS[repository.objectFormat];
  const command = rawCommand(sides, hexLength);
  return treeOutput(repository, { sides, format: 'raw', signal }, async function* (trees, until) {
    if (trees === undefined) {
      yield* outputBytes(repository, command, { signal: until });
      return false;
    }
    const config = [{ key: 'attr.tree', value: trees.attributes }];
    const ofTrees = rawCommand({ left: trees.before, right: trees.after }, hexLength);
    yield* outputBytes(repository, ofTrees, { signal: until, config });
    return true;
  });
}
