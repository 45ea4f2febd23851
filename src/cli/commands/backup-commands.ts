import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { backupId, countOption, timeId } from './option-values.ts';

/** Adds `gitaly-ts backup`. Its code is loaded on use. */
export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description('Back up and restore all repositories of a server; list, verify and prune backups.')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts backup /srv/git --to /var/opt/backups
  gitaly-ts backup /etc/gitaly/config.toml --to s3://my-backups --incremental --verify
  gitaly-ts backup list /var/opt/backups
  gitaly-ts backup restore /var/opt/backups --to /srv/git
  gitaly-ts backup prune /var/opt/backups --keep-daily 7 --keep-weekly 4

gitaly-backup, and that of Gitaly, can restore them, too. Exit code 0 on success, 1 after a failure,
2 for wrong usage, 3 if only some repositories failed.`,
    );
  addCreate(backup);
  addRestore(backup);
  addList(backup);
  addVerify(backup);
  addPrune(backup);
}

const LFS = [
  '--lfs <url>',
  'store of Git LFS, or off (default: as in the configuration, or the folder lfs of the directory)',
] as const;

/** Much of the time is spent on waiting for the disk or the bucket. */
function defaultJobs(incremental: boolean): number {
  return availableParallelism() * (incremental ? 4 : 2);
}

interface CreateArguments {
  readonly to?: string;
  readonly storage: string;
  readonly id?: string;
  readonly incremental?: boolean;
  readonly jobs?: number;
  readonly verify?: boolean;
  readonly lfs?: string;
  readonly metricsFile?: string;
}

function addCreate(backup: Command): void {
  backup
    .command('create', { isDefault: true })
    .description('Back up all repositories of a storage (the default command).')
    .argument(
      '<target>',
      'a directory of "gitaly-ts up" or "gitaly-ts init", a configuration, or the address of a server ' +
        'or praefect (with its token in GITALY_TOKEN)',
    )
    .option('--to <url>', 'directory, or URL of a bucket')
    .option('--storage <name>', 'name of the storage', 'default')
    .option('--incremental', 'store only what is new since the latest backup, if there is one')
    .option(
      '--id <name>',
      'name of the backup; an interrupted one of this name is continued (default: the time)',
      backupId,
    )
    .option(
      '-j, --jobs <n>',
      'repositories at a time (default: twice the number of CPUs, with --incremental four times)',
      countOption,
    )
    .option('--verify', 'verify the backup afterwards')
    .option(...LFS)
    .option(
      '--metrics-file <path>',
      'write the result as metrics, for the textfile collector of node_exporter',
    )
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts backup /srv/git --to /var/opt/backups
  gitaly-ts backup unix:/run/gitaly/gitaly.socket --to s3://my-backups --incremental --verify`,
    )
    .action(async (target: string, given: CreateArguments) => {
      const { createBackup } = await import('../backup.ts');
      const { to = '', storage, id = timeId(new Date()), incremental = false } = given;
      const { jobs = defaultJobs(incremental), lfs, verify = false, metricsFile } = given;
      const options = { to, storage, id, jobs, incremental, lfs, verify, metricsFile };
      process.exitCode = await createBackup(target, options, process);
    });
}

interface RestoreArguments {
  readonly to?: string;
  readonly storage: string;
  readonly id?: string;
  readonly repository?: string;
  readonly replace?: boolean;
  readonly lfs?: string;
  readonly jobs?: number;
}

function addRestore(backup: Command): void {
  backup
    .command('restore')
    .description('Restore all repositories of a backup, or one of them.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option(
      '--to <target>',
      'a directory of "gitaly-ts up" or "gitaly-ts init", a configuration, or the address of a server ' +
        'or praefect (with its token in GITALY_TOKEN)',
    )
    .option('--storage <name>', 'name of the storage', 'default')
    .option('--id <name>', 'name of a backup (default: the newest of each repository)')
    .option('--repository <path>', 'path of one repository')
    .option('--replace', 'change repositories that exist and differ from the backup')
    .option(...LFS)
    .option('-j, --jobs <n>', 'repositories at a time (default: twice the number of CPUs)', countOption)
    .addHelpText(
      'after',
      `
Other repositories of the server stay as they are.

Examples:
  gitaly-ts backup restore /var/opt/backups --to /srv/git
  gitaly-ts backup restore s3://my-backups --to /srv/git --repository team/project.git --replace`,
    )
    .action(async (url: string, given: RestoreArguments) => {
      const { restoreBackup } = await import('../backup.ts');
      const { to = '', storage, id = '', repository = '', replace = false } = given;
      const { jobs = defaultJobs(false), lfs } = given;
      const options = { to, storage, id, repository, replace, lfs, jobs };
      process.exitCode = await restoreBackup(url, options, process);
    });
}

function addList(backup: Command): void {
  backup
    .command('list')
    .description('Print the backups, the oldest first. Exit code 1 if none is complete.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  gitaly-ts backup list s3://my-backups --json')
    .action(async (url: string, { json = false }: { readonly json?: boolean }) => {
      const { listBackups } = await import('../backup.ts');
      process.exitCode = await listBackups(url, { json }, process);
    });
}

function addVerify(backup: Command): void {
  backup
    .command('verify')
    .description('Check backups without a server: bundles, checksums, and the objects of all references.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option('--id <name>', 'name of a backup (default: the newest of each repository)')
    .option('--repository <path>', 'path of one repository')
    .addHelpText('after', '\nExample:\n  gitaly-ts backup verify /var/opt/backups --repository hello.git')
    .action(async (url: string, given: { readonly id?: string; readonly repository?: string }) => {
      const { verifyBackups } = await import('../backup.ts');
      const { id = '', repository = '' } = given;
      process.exitCode = await verifyBackups(url, { id, repository }, process);
    });
}

interface PruneArguments {
  readonly keepLast?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly dryRun?: boolean;
}

function addPrune(backup: Command): void {
  backup
    .command('prune')
    .description('Remove old backups, and the files that no other backup needs.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option('--keep-last <n>', 'keep the newest backups', countOption)
    .option('--keep-daily <n>', 'keep the newest of this many days', countOption)
    .option('--keep-weekly <n>', 'keep the newest of this many weeks', countOption)
    .option('--keep-monthly <n>', 'keep the newest of this many months', countOption)
    .option('--keep-yearly <n>', 'keep the newest of this many years', countOption)
    .option('--dry-run', 'print what would be removed')
    .addHelpText(
      'after',
      `
The newest complete backup, and the newest of each repository, are always kept. Times are
in UTC; weeks begin on Monday.

Examples:
  gitaly-ts backup prune /var/opt/backups --keep-daily 7 --keep-weekly 4 --dry-run
  gitaly-ts backup prune s3://my-backups --keep-last 10`,
    )
    .action(async (url: string, given: PruneArguments) => {
      const { pruneBackups } = await import('../backup.ts');
      const retention = {
        last: given.keepLast ?? 0,
        daily: given.keepDaily ?? 0,
        weekly: given.keepWeekly ?? 0,
        monthly: given.keepMonthly ?? 0,
        yearly: given.keepYearly ?? 0,
      };
      process.exitCode = await pruneBackups(url, { retention, isDryRun: given.dryRun ?? false }, process);
    });
}
