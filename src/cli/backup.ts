import { clientMessageOf } from '#base/gitaly-error';
import { listenForStop } from '#platform/process/signals';
import type { Retention } from '#tools/backup/retention';
import type {
  BackUpAllOptions,
  CommandContext,
  RestoreAllOptions,
  WhichBackups,
} from '#tools/backup/stored-backups';
import * as commands from '#tools/backup/stored-backups';
import { lfsStoreUrl, notedLfsStore } from './lfs-store-url.ts';
import { isAddress } from './open-target.ts';
import { openServer, UsageError } from './serve/open-server.ts';

type Console = Pick<CommandContext, 'stdout' | 'stderr'>;

/** Runs a command until a signal stops it. @returns its exit code; 1 after an error, 2 for wrong usage. */
async function run(on: Console, work: (context: CommandContext) => Promise<number>): Promise<number> {
  using signals = listenForStop();
  try {
    return await work({ stdout: on.stdout, stderr: on.stderr, signal: signals.stop });
  } catch (error) {
    const message = signals.stop.aborted ? 'stopped by a signal' : clientMessageOf(error);
    on.stderr.write(`gitaly-ts backup: ${message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Runs `gitaly-ts backup create`. */
export function createBackup(
  target: string,
  options: Omit<BackUpAllOptions, 'connection'>,
  on: Console,
): Promise<number> {
  return run(on, async (context) => {
    if (options.to === '') throw new UsageError('--to is missing: name a directory, or the URL of a bucket');
    await using server = await openServer(target, 'the first argument');
    const lfs = await lfsStoreOf(target, options.lfs);
    const noted = notedLfsStore(target);
    if (lfs === undefined && options.lfs === undefined && (isAddress(target) || noted !== undefined))
      on.stderr.write(
        `Files of Git LFS are not backed up: name their store${noted === undefined ? '' : `, ${noted},`} ` +
          'with --lfs URL (or --lfs off).\n',
      );
    return await commands.backUpAll({ ...options, lfs, connection: server.connection }, context);
  });
}

/** Runs `gitaly-ts backup restore`. */
export function restoreBackup(
  url: string,
  { to, ...options }: Omit<RestoreAllOptions, 'connection'> & { readonly to: string },
  on: Console,
): Promise<number> {
  return run(on, async (context) => {
    if (to === '') throw new UsageError('--to is missing: name a directory, a configuration or an address');
    await using server = await openServer(to, '--to', { isMade: true });
    const lfs = await lfsStoreOf(to, options.lfs, true);
    return await commands.restoreAll(url, { ...options, lfs, connection: server.connection }, context);
  });
}

/** Returns the URL of the store of Git LFS; `undefined` if it is not known, or not wanted. */
async function lfsStoreOf(
  target: string,
  given: string | undefined,
  isMade?: boolean,
): Promise<string | undefined> {
  if (given !== undefined) return given === 'off' ? undefined : given;
  return notedLfsStore(target) === undefined ? await lfsStoreUrl(target, isMade) : undefined;
}

/** Runs `gitaly-ts backup list`. */
export function listBackups(url: string, options: { readonly json: boolean }, on: Console): Promise<number> {
  return run(on, (context) => commands.listBackups(url, options, context));
}

/** Runs `gitaly-ts backup verify`. */
export function verifyBackups(url: string, options: WhichBackups, on: Console): Promise<number> {
  return run(on, (context) => commands.verifyBackups(url, options, context));
}

/** Runs `gitaly-ts backup prune`. */
export function pruneBackups(
  url: string,
  options: { readonly retention: Retention; readonly isDryRun: boolean },
  on: Console,
): Promise<number> {
  return run(on, async (context) => {
    if (Object.values(options.retention).every((count) => count === 0))
      throw new UsageError('nothing was removed: name what to keep, such as --keep-daily 7 --keep-weekly 4');
    return await commands.pruneBackups(url, options, context);
  });
}
