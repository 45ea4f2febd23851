import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '#platform/config/load-config';
import { addressOfServer } from '#tools/admin/configured-server';
import { type CommandTarget, isAddress, openTarget } from '../open-target.ts';

/** The command line requests something contradictory. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Connects to an address, a directory of `gitaly-ts up`, or the server of a configuration.
 *
 * @param isMade true for a directory that need not exist: it is created.
 * @param option for the error, such as `--to`.
 * @throws {UsageError} if there is nothing of this name.
 */
export async function openServer(
  target: string,
  option: string,
  { isMade = false }: { readonly isMade?: boolean } = {},
): Promise<CommandTarget> {
  if (isAddress(target) || (isMade && !existsSync(target)))
    return await openTarget(target, process.env.GITALY_TOKEN);
  if (!existsSync(target))
    throw new UsageError(
      `${target} does not exist: name a directory, a configuration or an address with ${option}`,
    );
  const inside = join(target, 'config.toml');
  const file = statSync(target).isDirectory() ? (existsSync(inside) ? inside : undefined) : target;
  if (file === undefined) return await openTarget(target, process.env.GITALY_TOKEN);
  const config = await loadConfig(file);
  return await openTarget(addressOfServer(config), process.env.GITALY_TOKEN ?? config.auth.token?.reveal());
}
