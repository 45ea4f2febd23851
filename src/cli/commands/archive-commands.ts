import { type Command, InvalidArgumentError } from 'commander';
import type { ArchiveCommandOptions, RestoreRepositoryOptions } from '../archive.ts';
import { parseMoment } from './option-values.ts';
import { addToolCommand, runOnUse, type ToolProcess } from './tool-command.ts';

const TARGET =
  'a directory of "gitaly-ts up" or "gitaly-ts init", a configuration, or the address of a server (with ' +
  'its token in GITALY_TOKEN)';
const TO = ['--to <target>', TARGET, 'data'] as const;
const IN = ['--in <target>', TARGET, 'data'] as const;
const STORAGE = ['--storage <name>', 'name of the storage', 'default'] as const;
const MAX_LIMIT = 1_000_000;

/** Adds `gitaly-ts archive`. Its code is loaded on use. */
export function addArchiveCommands(program: Command, on: ToolProcess = process): void {
  const archive = program
    .command('archive')
    .description('Show the archive of a storage in a bucket, and restore the storage from it.')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts archive status --to /srv/git
  gitaly-ts archive restore --to unix:/run/gitaly/gitaly.socket --at 2h
  gitaly-ts repo restore team/project --at 2026-11-28T16:00:00Z --to team/project-yesterday

One repository: "gitaly-ts repo log" and "gitaly-ts repo restore". docs/archive.md describes archives.
Exit code 0 on success, 1 after a failure, 2 for wrong usage.`,
    );
  add(archive, 'status', 'Print how far the archives of a storage are.', [
    'status --to /srv/git',
    'status --to /etc/gitaly/config.toml --json',
  ]).action(runOnUse(on, async () => (await import('../archive.ts')).archiveStatus));
  add(archive, 'log', 'Print the repositories of an archive: the time and number of the last state.', [
    'log --to /srv/git',
  ]).action(runOnUse(on, async () => (await import('../archive.ts')).archiveLog));
  add(archive, 'restore', 'Restore all repositories of an archive that the storage lacks.', [
    'restore --to /srv/git',
    'restore --to unix:/run/gitaly/gitaly.socket --at 2026-11-28T16:00:00Z',
    'restore s3://my-archive --to /srv/copy',
  ])
    .argument('[url]', 'an archive that another server may write, and that is only read (default: its own)')
    .option('--at <time>', 'an earlier state: a time, or 90m, 2h, 3d ago', parseMoment)
    .action(
      async (
        url: string | undefined,
        options: ArchiveCommandOptions & Pick<RestoreRepositoryOptions, 'at'>,
      ) => {
        const { restoreFromUrl, restoreStorage } = await import('../archive.ts');
        on.exitCode =
          url === undefined ? await restoreStorage(options, on) : await restoreFromUrl(url, options, on);
      },
    );
  add(archive, 'verify', 'Read an archive back, and repair what is damaged from the disk.', [
    'verify --to /srv/git',
    'verify --to /srv/git --full',
  ])
    .option('--full', 'the packs of all kept states, and git checks every repository, not one of 20')
    .action(runOnUse(on, async () => (await import('../archive.ts')).verifyArchive));
  add(archive, 'prune', 'Delete states that the archives of a storage do not keep any more.', [
    'prune --to /srv/git',
  ])
    .addHelpText('after', '\nThe server does so by itself.')
    .action(runOnUse(on, async () => (await import('../archive.ts')).pruneArchives));
}

export function addRepoArchiveCommands(repo: Command, on: ToolProcess): void {
  add(repo, 'log', 'Print the archived states of a repository, the newest first.', [
    'log team/project --to /srv/git',
  ])
    .argument('<name>', 'a repository, also one that was removed')
    .option('-n, --limit <n>', 'number of states; 0 for all', parseLimit, 20)
    .action(runOnUse(on, async () => (await import('../archive.ts')).repositoryLog));
  const examples = [
    'restore team/project --in /srv/git',
    'restore team/project --at 2026-11-28T16:00:00Z --to team/project-yesterday',
    'restore team/project --at 128 --replace',
  ];
  const declared = { name: 'restore', description: 'Restore a repository from the archive.', examples };
  addArchiveOption(addToolCommand(repo, { ...declared, options: [IN, STORAGE], hasIn: true }))
    .argument('<name>', 'a repository, also one that was removed')
    .option('--at <moment>', 'a time, 90m, 2h or 3d ago, or the number of a state', parseMoment)
    .option('--to <name>', 'name of the restored repository (default: the same)')
    .option('--replace', 'replace the existing repository')
    .action(async (name: string, given: RestoreArguments) => {
      const { restoreRepository } = await import('../archive.ts');
      const { in: to, to: newName, ...options } = given;
      const names = { to, ...(newName !== undefined && { name: newName }) };
      on.exitCode = await restoreRepository(name, { ...options, ...names }, on);
    });
}

interface RestoreArguments extends Omit<RestoreRepositoryOptions, 'to' | 'name'> {
  readonly in: string;
  readonly to?: string;
}

/** Adds a command with the options of all. */
function add(group: Command, name: string, description: string, examples: readonly string[]): Command {
  return addArchiveOption(addToolCommand(group, { name, description, examples, options: [TO, STORAGE] }));
}

function addArchiveOption(command: Command): Command {
  return command.option('--archive <n>', 'which of several archives of the storage, from 0', parseLimit, 0);
}

function parseLimit(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > MAX_LIMIT)
    throw new InvalidArgumentError('Write a whole number.');
  return value;
}
