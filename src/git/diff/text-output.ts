import type { ConfigPair } from '../command/config.ts';
import { outputBytes } from '../command/output.ts';
import type { GitRepository } from '../repository.ts';
import { type Sides, textCommand } from './commands.ts';
import { treeOutput } from './tree-output.ts';

/**
 * Yields the output of {@link textCommand}.
 *
 * @param options.config Returns settings for the attributes of HEAD; called only if git is started.
 * @throws {GitalyError} for words that git must not receive; the iteration throws like {@link
 *   outputBytes}.
 */
export function textOutput(
  repository: GitRepository,
  sides: Sides,
  options: { readonly signal: AbortSignal; readonly config: () => Promise<readonly ConfigPair[]> },
): AsyncGenerator<Buffer, void, undefined> {
  const command = textCommand(sides);
  const query = { sides, format: 'patch', signal: options.signal } as const;
  return treeOutput(repository, query, async function* (_trees, signal) {
    yield* outputBytes(repository, command, { signal, config: await options.config() });
    return false; // a reference may have moved since the trees were read
  });
}
