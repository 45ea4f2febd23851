import { availableParallelism } from 'node:os';
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
import { timeId } from './commands/option-values.ts';
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

/** Much of the time is spent on waiting for the disk or the bucket. */
function defaultJobs(incremental: boolean): number {
  return availableParallelism() * (incremental ? 4 : 2);
}

/** Options of a command that are given, or have a default. */
type Given<Options> = Partial<Omit<Options, 'connection' | 'storage'>> & { readonly storage: string };

/** Runs `gitaly-ts backup create`. */
export function createBackup(target: string, given: Given<BackUpAllOptions>, on: Console): Promise<number> {
  return run(on, async (context) => {
    const { to = '', storage, id = timeId(new Date()), incremental = false } = given;
    const { jobs = defaultJobs(incremental), lfs: givenLfs, verify = false, metricsFile } = given;
    const options = { to, storage, id, jobs, incremental, verify, metricsFile };
    if (to === '') throw new UsageError('--to is missing: name a directory, or the URL of a bucket');
    await using server = await openServer(target, 'the first argument');
    const lfs = await lfsStoreOf(target, givenLfs);
    const noted = notedLfsStore(target);
    if (lfs === undefined && givenLfs === undefined && (isAddress(target) || noted !== undefined))
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
  { to = '', ...given }: Given<RestoreAllOptions> & { readonly to?: string },
  on: Console,
): Promise<number> {
  return run(on, async (context) => {
    const { storage, id = '', repository = '', replace = false, jobs = defaultJobs(false) } = given;
    if (to === '') throw new UsageError('--to is missing: name a directory, a configuration or an address');
    await using server = await openServer(to, '--to', { isMade: true });
    const lfs = await lfsStoreOf(to, given.lfs, true);
    const options = { storage, id, repository, replace, lfs, jobs, connection: server.connection };
    return await commands.restoreAll(url, options, context);
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
export function listBackups(
  url: string,
  { json = false }: { readonly json?: boolean },
  on: Console,
): Promise<number> {
  return run(on, (context) => commands.listBackups(url, { json }, context));
}

/** Runs `gitaly-ts backup verify`. */
export function verifyBackups(
  url: string,
  { id = '', repository = '' }: Partial<WhichBackups>,
  on: Console,
): Promise<number> {
  return run(on, (context) => commands.verifyBackups(url, { id, repository }, context));
}

/** `keepDaily` and the others. */
type KeepOptions = { readonly [Period in keyof Retention as `keep${Capitalize<Period>}`]?: number };

/** Runs `gitaly-ts backup prune`. */
export function pruneBackups(
  url: string,
  given: KeepOptions & { readonly dryRun?: boolean },
  on: Console,
): Promise<number> {
  const retention: Retention = {
    last: given.keepLast ?? 0,
    daily: given.keepDaily ?? 0,
    weekly: given.keepWeekly ?? 0,
    monthly: given.keepMonthly ?? 0,
    yearly: given.keepYearly ?? 0,
  };
  return run(on, async (context) => {
    if (Object.values(retention).every((count) => count === 0))
      throw new UsageError('nothing was removed: name what to keep, such as --keep-daily 7 --keep-weekly 4');
    return await commands.pruneBackups(url, { retention, isDryRun: given.dryRun ?? false }, context);
  });
}
