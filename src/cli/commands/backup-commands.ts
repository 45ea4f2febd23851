import type { Command } from 'commander';
import { backupId, countOption } from './option-values.ts';
import { runOnUse } from './tool-command.ts';

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

const TARGET =
  'a directory of "gitaly-ts up" or "gitaly-ts init", a configuration, or the address of a server ' +
  'or praefect (with its token in GITALY_TOKEN)';
const LFS = [
  '--lfs <url>',
  'store of Git LFS, or off (default: as in the configuration, or the folder lfs of the directory)',
] as const;

function addCreate(backup: Command): void {
  backup
    .command('create', { isDefault: true })
    .description('Back up all repositories of a storage (the default command).')
    .argument('<target>', TARGET)
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
    .action(runOnUse(process, async () => (await import('../backup.ts')).createBackup));
}

function addRestore(backup: Command): void {
  backup
    .command('restore')
    .description('Restore all repositories of a backup, or one of them.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option('--to <target>', TARGET)
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
    .action(runOnUse(process, async () => (await import('../backup.ts')).restoreBackup));
}

function addList(backup: Command): void {
  backup
    .command('list')
    .description('Print the backups, the oldest first. Exit code 1 if none is complete.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  gitaly-ts backup list s3://my-backups --json')
    .action(runOnUse(process, async () => (await import('../backup.ts')).listBackups));
}

function addVerify(backup: Command): void {
  backup
    .command('verify')
    .description('Check backups without a server: bundles, checksums, and the objects of all references.')
    .argument('<url>', 'directory, or URL of a bucket')
    .option('--id <name>', 'name of a backup (default: the newest of each repository)')
    .option('--repository <path>', 'path of one repository')
    .addHelpText('after', '\nExample:\n  gitaly-ts backup verify /var/opt/backups --repository hello.git')
    .action(runOnUse(process, async () => (await import('../backup.ts')).verifyBackups));
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
    .action(runOnUse(process, async () => (await import('../backup.ts')).pruneBackups));
}
