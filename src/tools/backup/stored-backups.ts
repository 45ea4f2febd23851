import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { clientMessageOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { Git } from '#git/command/git';
import type { ObjectStore } from '#object-store/object-store';
import { localDirectoryOf, openStore } from '#object-store/open-store';
import { formatSeconds } from '../import/format-seconds.ts';
import type { TerminalOutput } from '../progress-line.ts';
import { backUpStorage } from './back-up-storage.ts';
import { BackupReport } from './backup-report.ts';
import { listRuns, type StoredBackup, storedBackups } from './catalog.ts';
import { copyLfsFiles, describeLfsCopy, lfsOfBackups } from './copy-lfs.ts';
import { countedStore } from './counted-store.ts';
import { LeftOutRepositories } from './left-out.ts';
import { writeMetricsFile } from './metrics-file.ts';
import { pruneBackupRuns } from './prune.ts';
import { reportRun } from './report-run.ts';
import { restoreStorage } from './restore-storage.ts';
import { keptRunIds, type Retention } from './retention.ts';
import { verifyBackup } from './verify.ts';

/** Exit codes besides 0 for a complete success. */
const [FAILURE, PARTIAL] = [1, 3];

/** The outputs and the abort signal of a command. */
export interface CommandContext {
  readonly stdout: TerminalOutput;
  readonly stderr: TerminalOutput;
  readonly signal: AbortSignal;
}

export interface BackUpAllOptions {
  readonly connection: Connection;
  /** Directory, or URL of a bucket. */
  readonly to: string;
  readonly storage: string;
  readonly id: string;
  readonly incremental: boolean;
  /** Repositories at a time. */
  readonly jobs: number;
  /** Verifies the backup afterwards. */
  readonly verify: boolean;
  /** URL of the store of Git LFS; absent if its files are not backed up. */
  readonly lfs?: string | undefined;
  /** File for the metrics of the result; absent for none. */
  readonly metricsFile?: string | undefined;
}

export interface WhichBackups {
  /** Empty for the newest backup of each repository. */
  readonly id: string;
  /** Path of one repository; empty for all. */
  readonly repository: string;
}

/** Backs up all repositories of a storage. @returns the exit code. */
export async function backUpAll(options: BackUpAllOptions, context: CommandContext): Promise<number> {
  using report = new BackupReport(context);
  const { metricsFile, storage } = options;
  let isComplete = false;
  try {
    const code = await backUp(options, report, context);
    isComplete = code === 0;
    await notifyServer(options, report, context, isComplete ? '' : 'the backup is not complete');
    return code;
  } catch (error) {
    // One that is stopped continues later, under its name.
    if (!context.signal.aborted) await notifyServer(options, report, context, clientMessageOf(error));
    throw error;
  } finally {
    const facts = { storage, isComplete, endedMs: Date.now(), ...report.facts };
    if (metricsFile !== undefined) await writeMetricsFile(metricsFile, facts);
  }
}

/** Reports the result to the server, whose console shows it. @param problem empty for a success. */
async function notifyServer(
  { connection, id, storage }: BackUpAllOptions,
  { counts: { done, failed, skipped }, lastFailure }: BackupReport,
  { stderr }: CommandContext,
  problem: string,
): Promise<void> {
  const result = {
    repositories: done + skipped,
    failed: problem === '' ? failed : Math.max(1, failed),
    failedRepository: lastFailure.repository,
    problem: lastFailure.problem || problem,
  };
  await reportRun(connection, storage, { id, program: 'gitaly-ts backup', ...result }, (error) =>
    stderr.write(`the server could not be notified of the result: ${clientMessageOf(error)}\n`),
  );
}

async function backUp(
  options: BackUpAllOptions,
  report: BackupReport,
  context: CommandContext,
): Promise<number> {
  const { to, id, storage: storageName, incremental, jobs: parallel, verify, connection } = options;
  const { stderr, signal } = context;
  requireLasting(to);
  const store = await openStore(to);
  const { listener } = report;
  const counted = countedStore(store, (bytes) => report.addBytes(bytes));
  const settings = { connection, storageName, id, incremental, parallel, listener, signal };
  try {
    await backUpStorage({ ...settings, store: counted });
  } catch (error) {
    if (signal.aborted) stderr.write(`Run the same command with "--id ${id}" to continue.\n`);
    throw error;
  } finally {
    report[Symbol.dispose]();
  }
  stderr.write(`${report.summary(`backup ${id}`, 'backed up')}\n`);
  // After the repositories, so that the backup has the files of all their pointers.
  const hasFiles = await backUpLfs(store, options, context);
  const code = exitCodeOf(report);
  if (code !== 0) return code;
  if (!hasFiles) return PARTIAL;
  return verify && report.total > 0 ? await verifyStored(store, { id, repository: '' }, context) : 0;
}

/** Copies the files of Git LFS into the backups. Reports whether all are there. */
async function backUpLfs(
  store: ObjectStore,
  { lfs }: BackUpAllOptions,
  { signal, stderr }: CommandContext,
): Promise<boolean> {
  if (lfs === undefined) return true;
  const copy = await copyLfsFiles({ from: await openStore(lfs), to: lfsOfBackups(store), signal });
  stderr.write(`${describeLfsCopy(copy)}\n`);
  return copy.failed === 0;
}

/** Copies the files of Git LFS of restored repositories back. Reports whether all are there. */
async function restoreLfs(
  store: ObjectStore,
  { connection, lfs, repository: relativePath, storage: storageName }: RestoreAllOptions,
  { signal, stderr }: CommandContext,
): Promise<boolean> {
  const from = lfsOfBackups(store);
  if (await isEmpty(from, signal)) return true;
  if (lfs === undefined) {
    stderr.write('Files of Git LFS are not restored: name their store with --lfs URL.\n');
    return true;
  }
  const target = { repository: { storageName, relativePath } };
  const ids =
    relativePath === '' ? undefined : new Set((await connection.settings.get(target, { signal })).lfsIds);
  const copy = await copyLfsFiles({ from, to: await openStore(lfs), ids, signal });
  stderr.write(`${describeLfsCopy(copy)}\n`);
  return copy.failed === 0;
}

async function isEmpty(store: ObjectStore, signal: AbortSignal): Promise<boolean> {
  for await (const page of store.list('', { signal })) if (page.length > 0) return false;
  return true;
}

export interface RestoreAllOptions extends WhichBackups {
  readonly connection: Connection;
  /** Storage of the backups, and of the server. */
  readonly storage: string;
  /** Changes repositories that differ from the backup. */
  readonly replace: boolean;
  /** URL of the store of Git LFS; absent if its files are not restored. */
  readonly lfs?: string | undefined;
  /** Repositories at a time. */
  readonly jobs: number;
}

/** Restores the backups in a directory or bucket. @returns the exit code. */
export async function restoreAll(
  url: string,
  options: RestoreAllOptions,
  context: CommandContext,
): Promise<number> {
  const { stderr, signal } = context;
  const { connection, storage: storageName, replace, jobs: parallel } = options;
  const opened = await openBackups(url);
  const { backups, leftOut } = await selectBackups(opened, { ...options, storageName }, context);
  if (backups.length === 0) throw new NoBackupError();
  using report = new BackupReport(context);
  const { listener } = report;
  listener.onFound(backups.length);
  const store = countedStore(opened, (bytes) => report.addBytes(bytes));
  const settings = { connection, backups, storageName, replace, parallel, listener, signal };
  await restoreStorage({ ...settings, store });
  report[Symbol.dispose]();
  stderr.write(`${report.summary('restore', 'restored')}\n`);
  const hasFiles = await restoreLfs(opened, options, context);
  const code = exitCodeOf(report);
  return code === 0 && (leftOut > 0 || !hasFiles) ? PARTIAL : code;
}

/** @returns the exit code of a complete, a partial, or no success. */
function exitCodeOf({ counts: { failed }, total }: BackupReport): number {
  if (failed === 0) return 0;
  return failed < total ? PARTIAL : FAILURE;
}

/** Verifies the backups in a directory or bucket. @returns the exit code. */
export async function verifyBackups(
  url: string,
  options: WhichBackups,
  context: CommandContext,
): Promise<number> {
  return await verifyStored(await openBackups(url), options, context);
}

async function verifyStored(
  store: ObjectStore,
  options: WhichBackups,
  context: CommandContext,
): Promise<number> {
  const { stdout, stderr, signal } = context;
  const git = await Git.start({ binary: 'git' });
  let [good, bad] = [0, 0];
  const { backups, leftOut } = await selectBackups(store, options, context);
  for (const backup of backups) {
    const { relativePath: repository, id } = backup;
    try {
      const facts = await verifyBackup(store, backup, { git, temporaryDirectory: tmpdir(), signal });
      good++;
      stdout.write(`${JSON.stringify({ repository, id, outcome: 'good', ...facts })}\n`);
    } catch (error) {
      signal.throwIfAborted();
      bad++;
      stdout.write(`${JSON.stringify({ repository, id, outcome: 'bad', error: clientMessageOf(error) })}\n`);
    }
  }
  stderr.write(`${good} good, ${bad} bad\n`);
  if (good + bad === 0) throw new NoBackupError();
  if (bad === 0) return leftOut === 0 ? 0 : PARTIAL;
  return good > 0 ? PARTIAL : FAILURE;
}

/** @throws {Error} for a store that exists only in this process. */
function requireLasting(url: string): void {
  if (url.startsWith('mem:'))
    throw new Error('mem:// is lost when this program ends: name a directory, or the URL of a bucket');
}

/** Opens a store to read backups. A directory is not created. @throws {Error} if there is none. */
async function openBackups(url: string): Promise<ObjectStore> {
  requireLasting(url);
  const local = localDirectoryOf(url);
  if (local !== undefined && !existsSync(local.path))
    throw new Error(`there are no backups: ${local.path} does not exist`);
  return await openStore(url);
}

class NoBackupError extends Error {
  override readonly message = 'there is no such backup: "gitaly-ts backup list" prints all';
}

/**
 * Returns the backups with an id, or the newest of each repository; of one storage, if it is named.
 * Reports the repositories that are left out, and returns their number.
 */
async function selectBackups(
  store: ObjectStore,
  { id, repository, storageName }: WhichBackups & { readonly storageName?: string },
  { stderr, signal }: CommandContext,
): Promise<{ readonly backups: readonly StoredBackup[]; readonly leftOut: number }> {
  const selected = new Map<string, StoredBackup>();
  const leftOut = new LeftOutRepositories(id);
  for await (const page of storedBackups(store, { signal, onUnusable: leftOut.note }))
    for (const backup of page) {
      if (id !== '' && backup.id !== id) continue;
      if (repository !== '' && backup.relativePath !== repository) continue;
      if (storageName !== undefined && backup.storageName !== storageName) continue;
      const key = `${backup.storageName}\0${backup.relativePath}`;
      if ((selected.get(key)?.modifiedMs ?? 0) <= backup.modifiedMs) selected.set(key, backup);
    }
  if (repository !== '') return { backups: [...selected.values()], leftOut: 0 };
  stderr.write(leftOut.report);
  return { backups: [...selected.values()], leftOut: leftOut.count };
}

/** Prints the backups. @returns the exit code: 1 if none is complete. */
export async function listBackups(
  url: string,
  { json }: { readonly json: boolean },
  { stdout, stderr, signal }: CommandContext,
): Promise<number> {
  const leftOut = new LeftOutRepositories();
  const runs = await listRuns(await openBackups(url), { signal, onUnusable: leftOut.note });
  stderr.write(leftOut.report);
  const rows = runs.map(({ modifiedMs, ...each }) => ({ ...each, time: new Date(modifiedMs).toISOString() }));
  if (json) stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else
    for (const { id, time, repositories, isEnded, isPartial } of rows) {
      const note = isEnded ? (isPartial ? '  (others failed)' : '') : '  (interrupted)';
      stdout.write(`${id}  ${time}  ${repositories} repositories${note}\n`);
    }
  const newest = runs.filter(({ isEnded, isPartial }) => isEnded && !isPartial).at(-1);
  if (newest === undefined) stderr.write('There is no complete backup.\n');
  else
    stderr.write(
      `The newest complete one is ${formatSeconds((Date.now() - newest.modifiedMs) / 1000)} old.\n`,
    );
  return newest === undefined ? FAILURE : 0;
}

/** Removes old backups. @returns the exit code. */
export async function pruneBackups(
  url: string,
  { retention, isDryRun }: { readonly retention: Retention; readonly isDryRun: boolean },
  { stdout, stderr, signal }: CommandContext,
): Promise<number> {
  const store = await openBackups(url);
  const leftOut = new LeftOutRepositories();
  const runs = await listRuns(store, { signal, onUnusable: leftOut.note });
  stderr.write(leftOut.report);
  const kept = keptRunIds(runs, retention);
  for (const { id } of runs) stdout.write(`${kept.has(id) ? 'keep  ' : 'remove'}  ${id}\n`);
  const count = await pruneBackupRuns(store, kept, { isDryRun, signal });
  const verb = isDryRun ? 'would remove' : 'removed';
  stderr.write(`${verb} ${count} backups of repositories\n`);
  return 0;
}
