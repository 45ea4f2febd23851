import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { clientMessageOf } from '#base/gitaly-error';
import { parseDurationMs } from '#base/go/duration';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger } from '#platform/log/logger';
import { misspeltVariables } from '#platform/process/own-variables';
import { listenForStop } from '#platform/process/signals';
import { versionString } from '#platform/process/version';
import { exposedFile } from '#tools/backup/exposed-file';
import type { BackupContext } from '#tools/backup/run-backup';
import { countOption, timeId } from '../commands/option-values.ts';
import { group, suggestNames, writeUsageError } from '../commands/usage.ts';

const EXAMPLES = `
Examples:
  gitaly-backup create -path /var/opt/backups < jobs.json
  gitaly-backup create -path s3://my-backups -incremental < jobs.json
  gitaly-backup restore -path /var/opt/backups < jobs.json

Standard input is a JSON object for each repository:
  {"address":"unix:/run/gitaly/gitaly.socket","token":"secret","storage_name":"default",
   "relative_path":"hello.git","gl_project_path":"group/hello"}

Environment:
  GITALY_SERVERS  servers of the storages, for jobs without address: JSON in base64, such as
                  {"default":{"address":"tcp://gitaly-1:8075","token":"secret"}}

Exit code 0 if all repositories succeeded, else 1. See docs/backup.md.`;

const CREATE_EXAMPLES = `
Examples:
  gitaly-backup create -path /var/opt/backups -id monday < jobs.json
  gitaly-backup create -server-side -incremental < jobs.json`;

const RESTORE_EXAMPLES = `
Examples:
  gitaly-backup restore -path /var/opt/backups -id monday < jobs.json
  gitaly-backup restore -path /var/opt/backups -remove-all-repositories default < jobs.json

A repository that has no backup at all is removed. Backups of older versions are found, too.`;

const PARTITION_EXAMPLE = '\nExample:\n  gitaly-backup partition create -parallel 4 -timeout 1h';

/** Options as commander returns them. */
interface JobOptions {
  readonly path?: string;
  readonly parallel?: number;
  readonly parallelStorage: number;
  readonly id?: string;
  readonly serverSide?: boolean;
  readonly layout: string;
}

/** Returns the command line of `gitaly-backup`; `exit` receives the exit code. */
export function gitalyBackupProgram(exit: (code: number) => void): Command {
  const root = new Command('gitaly-backup')
    .description('Backs up and restores repositories of Gitaly servers and clusters.')
    .version(versionString('Gitaly Backup'), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option('--path <directory|url>', 'same as the option of the commands')
    .addHelpText('after', EXAMPLES);
  group(root, exit);
  addCreate(root, exit);
  addRestore(root, exit);
  addPartition(root, exit);
  suggestNames(root, writeUsageError);
  return root;
}

function addCreate(root: Command, exit: (code: number) => void): void {
  const command = withJobOptions(root.command('create').description('Back up repositories.'))
    .option('--incremental', 'store only what is new since the latest backup, if there is one')
    .option('--id <name>', 'name of the backup (default: the time, as YYYYMMDDhhmmss in UTC)')
    .addHelpText('after', CREATE_EXAMPLES);
  command.action(async () => {
    const {
      path = '',
      id = timeId(new Date()),
      ...options
    } = command.optsWithGlobals<JobOptions & { readonly incremental?: boolean }>();
    const { parallel = availableParallelism(), serverSide = false, incremental = false } = options;
    const { runCreate } = await import('#tools/backup/run-backup');
    exit(
      await run((context) => runCreate({ ...options, path, id, parallel, serverSide, incremental }, context)),
    );
  });
}

function addRestore(root: Command, exit: (code: number) => void): void {
  const command = withJobOptions(root.command('restore').description('Restore repositories.'))
    .option('--id <name>', 'name of the backup (default: the latest)')
    .option(
      '--remove-all-repositories <storages>',
      'remove the repositories of these storages that are not restored; separated by commas',
      (value: string, before: readonly string[] = []) => [...before, ...value.split(',').filter(Boolean)],
    )
    .addHelpText('after', RESTORE_EXAMPLES);
  command.action(async () => {
    const {
      path = '',
      id = '',
      ...options
    } = command.optsWithGlobals<JobOptions & { readonly removeAllRepositories?: readonly string[] }>();
    const { parallel = availableParallelism(), serverSide = false, removeAllRepositories = [] } = options;
    const named = { ...options, path, id, parallel, serverSide, removeAllRepositories };
    const { runRestore } = await import('#tools/backup/run-backup');
    exit(await run((context) => runRestore(named, context)));
  });
}

function addPartition(root: Command, exit: (code: number) => void): void {
  const partition = root.command('partition').description('Back up the partitions of storages.');
  const command = group(partition, exit)
    .command('create')
    .description('Back up all partitions of the servers in GITALY_SERVERS (servers with transactions only).')
    .option('--parallel <n>', 'partitions of a storage at a time', countOption, 2)
    .addOption(
      new Option('--timeout <duration>', 'limit for one partition, such as 30s or 2h45m')
        .argParser(duration)
        .default(300_000, '5m'),
    )
    .addHelpText('after', PARTITION_EXAMPLE);
  command.action(async () => {
    const { parallel, timeout } = command.opts<{ readonly parallel: number; readonly timeout: number }>();
    const { runPartitionCreate } = await import('#tools/backup/run-partitions');
    exit(await run((context) => runPartitionCreate({ parallel, timeoutMs: timeout }, context)));
  });
}

function withJobOptions(command: Command): Command {
  return command
    .option('--path <directory|url>', 'directory, or URL of a bucket, with the backups')
    .option('--parallel <n>', 'repositories at a time (default: the number of CPUs)', countOption)
    .option('--parallel-storage <n>', 'repositories of one storage at a time', countOption, 2)
    .option('--server-side', 'the servers use the bucket of their configuration')
    .option(
      '--layout <name>',
      'manifest; pointer: no manifests, as in Gitaly 15; legacy: older files, read-only',
      'manifest',
    );
}

/** Runs a command. @returns its exit code. */
async function run(command: (context: BackupContext) => Promise<void>): Promise<number> {
  const stream = new FdLogStream(process.stdout.fd, { format: 'json' });
  const logger = createLogger({ format: 'json', level: 'info', stream });
  for (const message of misspeltVariables()) logger.warn(message);
  using signals = listenForStop();
  try {
    await command({
      logger,
      input: process.stdin,
      exposedInput: exposedFile(process.stdin.fd),
      environment: process.env,
      signal: signals.stop,
    });
    return 0;
  } catch (error) {
    logger.error(signals.stop.aborted ? 'stopped by a signal' : clientMessageOf(error));
    return 1;
  } finally {
    process.stdin.destroy();
    await stream.end();
  }
}

function duration(text: string): number {
  try {
    return parseDurationMs(text);
  } catch {
    throw new InvalidArgumentError('It is no duration such as 30s or 5m.');
  }
}
