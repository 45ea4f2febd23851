import { clientMessageOf, codeOf, wrap, wrapped } from '#base/gitaly-error';
import { asGoStatus } from '#base/go/status';
import { openStore } from '#object-store/open-store';
import type { Logger } from '#platform/log/logger';
import { type BackupJob, isPool, readJobs } from './job.ts';
import { logListener } from './log-listener.ts';
import type { BackupOperator } from './operator.ts';
import { Pipeline } from './pipeline.ts';
import { StorageResults } from './report-run.ts';
import { ServerSideOperator } from './server-side-operator.ts';
import { readServers, Servers } from './servers.ts';
import { type BackupLayout, type RestoreListener, StoreOperator } from './store-operator.ts';

/** Options that both commands have. */
export interface BackupArguments {
  /** Directory, or URL of a bucket; empty with `serverSide`. */
  readonly path: string;
  readonly parallel: number;
  readonly parallelStorage: number;
  /** Name of the backup; empty for the latest one when restoring. */
  readonly id: string;
  readonly serverSide: boolean;
  /** Name of a {@link BackupLayout}, default `manifest`; without an effect on servers. */
  readonly layout?: string;
}

export interface CreateArguments extends BackupArguments {
  readonly incremental: boolean;
}

export interface RestoreArguments extends BackupArguments {
  /** Storages from which all repositories that were not restored are removed. */
  readonly removeAllRepositories: readonly string[];
}

/** The environment of a command. */
export interface BackupContext {
  readonly logger: Logger;
  /** JSON objects, one for each repository. */
  readonly input: AsyncIterable<Uint8Array>;
  /** The file of the input, if other users can read it. */
  readonly exposedInput?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

const LATEST_FAILED = 'read latest backup ID failed, will fallback to individual repository lookups';

/**
 * Backs up the repositories that the input names.
 *
 * @throws {Error} `create: …`, also if only some of them failed; the others are in the backup.
 */
export async function runCreate(options: CreateArguments, context: BackupContext): Promise<void> {
  const { id, incremental } = options;
  const { logger, signal } = context;
  await using servers = new Servers(readServers(context.environment.GITALY_SERVERS));
  const operator = await openOperator('create', options, servers, logger);
  const latestId = incremental ? ((await latestOf(operator, context)) ?? '') : '';
  const results = new StorageResults(logListener(logger, 'create'));
  const pipeline = new Pipeline({
    ...{ ...options, listener: results, signal },
    run: (job) => operator.create(job, { id, latestId, incremental, signal }),
  });
  const { done, failed, failures } = await runAll('create', pipeline, context);
  // The server records the backups that it makes itself.
  if (!options.serverSide)
    await results.report({ id, program: 'gitaly-backup' }, servers, (error) =>
      logger.warn({ error: clientMessageOf(error) }, 'a server could not be notified of the result'),
    );
  // Also after partial failures: the other repositories can be restored.
  if (done.length > 0) await operator.writeId(id, { failed, signal }).catch(wrapped('write backup ID'));
  if (failures !== undefined) throw new Error(`create: ${failures}`);
}

/**
 * Restores the repositories that the input names.
 *
 * @throws {Error} `restore: …`, also if only some of them failed; the others are restored.
 */
export async function runRestore(options: RestoreArguments, context: BackupContext): Promise<void> {
  const { logger, signal } = context;
  await using servers = new Servers(readServers(context.environment.GITALY_SERVERS));
  const operator = await openOperator('restore', options, servers, logger);
  const useLatest = options.id === '';
  const id = useLatest ? ((await latestOf(operator, context)) ?? '') : options.id;
  const existing = await listAll(servers, options.removeAllRepositories, context);
  const pipeline = new Pipeline({
    ...{ ...options, listener: logListener(logger, 'restore'), signal },
    run: (job) => operator.restore(job, { id, useLatest, signal }),
  });
  const { done, failures } = await runAll('restore', pipeline, context);
  if (failures !== undefined) throw new Error(`restore: ${failures}`);
  const restored = new Set(done.map(repositoryKey));
  await removeAll(
    servers,
    existing.filter((each) => !restored.has(repositoryKey(each)) && !isPool(each.relativePath)),
    signal,
  );
}

async function openOperator(
  command: string,
  { path, serverSide, layout = 'manifest' }: BackupArguments,
  servers: Servers,
  logger: Logger,
): Promise<BackupOperator> {
  if (serverSide && path !== '') throw new Error(`${command}: path cannot be used with server-side backups`);
  if (serverSide) return new ServerSideOperator(servers);
  if (path === '') throw new Error(`${command}: -path is missing: name a directory, or the URL of a bucket`);
  const known = layoutOf(command, layout);
  const store = await openStore(path).catch(wrapped(`${command}: resolve sink`));
  return new StoreOperator(store, servers, restoreListener(logger), known);
}

function restoreListener(logger: Logger): RestoreListener {
  const fields = ({ storageName, relativePath }: BackupJob, backupId: string) => ({
    storage: storageName,
    relative_path: relativePath,
    backup_id: backupId,
  });
  return {
    onBundles: (job, backupId, reason) =>
      logger.warn(
        { ...fields(job, backupId), error: clientMessageOf(reason) },
        'unable to reset refs. Proceeding with a normal restore',
      ),
    onSkipped: (job, backupId, references) =>
      logger.warn(
        { ...fields(job, backupId), skipped_references: references },
        'references are left out: their objects are not in the backup',
      ),
  };
}

function layoutOf(command: string, name: string): BackupLayout {
  if (name === 'legacy' && command === 'create')
    throw new Error('create: resolve locator: the layout "legacy" is only read: leave -layout out');
  if (name === 'manifest' || name === 'pointer' || name === 'legacy') return name;
  throw new Error(`${command}: resolve locator: unknown layout: ${JSON.stringify(name)}`);
}

/** Returns the name of the latest backup; `undefined` if each repository has to be looked up. */
async function latestOf(
  operator: BackupOperator,
  { logger, signal }: BackupContext,
): Promise<string | undefined> {
  try {
    return await operator.latestId(signal);
  } catch (error) {
    logger.warn({ error: clientMessageOf(error) }, LATEST_FAILED);
    return undefined;
  }
}

async function runAll(
  command: string,
  pipeline: Pipeline,
  { exposedInput: file, input, logger, signal }: BackupContext,
): ReturnType<Pipeline['end']> {
  let isWarned = file === undefined;
  try {
    for await (const job of readJobs(input)) {
      if (!isWarned && job.server.token !== '') {
        isWarned = true;
        logger.warn(`${file} has tokens, and other users can read it. Protect it with: chmod 600 ${file}`);
      }
      await pipeline.handle(job);
    }
  } catch (error) {
    await pipeline.end();
    signal.throwIfAborted();
    throw wrap(error, command);
  }
  return await pipeline.end();
}

type Place = Pick<BackupJob, 'storageName' | 'relativePath'>;

function repositoryKey({ storageName, relativePath }: Place): string {
  return `${storageName}\0${relativePath}`;
}

/** Lists all repositories of storages. A storage that cannot be listed is left as it is. */
async function listAll(
  servers: Servers,
  storages: readonly string[],
  { logger, signal }: BackupContext,
): Promise<Place[]> {
  const found: Place[] = [];
  for (const storageName of storages)
    try {
      const connection = await servers.of(storageName);
      for await (const { relativePath } of connection.internal.walkRepos({ storageName }, { signal }))
        found.push({ storageName, relativePath });
    } catch (error) {
      const fields = { storage_name: storageName, error: clientMessageOf(asGoStatus(error)) };
      logger.warn(fields, 'failed to list repositories');
    }
  return found;
}

async function removeAll(servers: Servers, places: readonly Place[], signal: AbortSignal): Promise<void> {
  const failures: string[] = [];
  for (const place of places)
    try {
      const connection = await servers.of(place.storageName);
      await connection.repository.removeRepository({ repository: place }, { signal });
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') continue;
      const { storageName, relativePath } = place;
      const names = `storage_name "${storageName}" relative_path "${relativePath}"`;
      failures.push(`${names}: remove repo: remove: ${clientMessageOf(asGoStatus(error))}`);
    }
  if (failures.length > 0)
    throw new Error(
      `remove dangling repositories: ${failures.length} failures encountered: ${failures.join('\n')}`,
    );
}
