import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { RepoConsole } from '../repo/repo.ts';
import { addRepoArchiveCommands } from './archive-commands.ts';
import { parseSeconds } from './option-values.ts';
import { addRepoSettings } from './repo-settings-commands.ts';
import { addToolCommand, runOnUse, type ToolProcess } from './tool-command.ts';

const TO = [
  '--to <target>',
  'a directory of "gitaly-ts up" or "gitaly-ts init", a configuration, or the address of a server (with ' +
    'its token in GITALY_TOKEN)',
  'data',
] as const;
const OPTIONS = [TO, ['--storage <name>', 'name of the storage', 'default']] as const;

const MAX_JOBS = 64;

const EXPIRES = [
  '--expires <time>',
  'time after which the server removes it: 90m, 12h, 30d',
  parseSeconds,
] as const;

/** Receives the output and the exit code of the commands. */
export type RepoProcess = RepoConsole & ToolProcess;

/** Adds `gitaly-ts repo`. Its code is loaded on use. */
export function addRepoCommands(program: Command, on: RepoProcess = process): void {
  const repo = program
    .command('repo')
    .description('List, create, fork, rename, configure, expire, remove, maintain and migrate repositories.')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts repo list --to /srv/git
  gitaly-ts repo create team/project --to unix:/run/gitaly/gitaly.socket

Exit code 0 on success, 1 after a failure, 2 for wrong usage.`,
    );
  addList(repo, on);
  addCreate(repo, on);
  addFork(repo, on);
  addRename(repo, on);
  addExpire(repo, on);
  addRemove(repo, on);
  addGc(repo, on);
  addGcLfs(repo, on);
  addInfo(repo, on);
  addRepoSettings(repo, on, add);
  addMigrateReferences(repo, on);
  addRepoArchiveCommands(repo, on);
}

/** Adds a command with the options of all. */
function add(repo: Command, name: string, description: string, examples: readonly string[]): Command {
  const hasIn = name === 'expire'; // a time
  return addToolCommand(repo, { name, description, examples, options: OPTIONS, hasIn });
}

function addList(repo: Command, on: RepoProcess): void {
  const examples = ['list --to /srv/git', 'list --to /etc/gitaly/config.toml --json'];
  add(repo, 'list', 'Print the names of the repositories.', examples)
    .option('--all', 'also the pools that forks share')
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).listRepositories));
}

function addCreate(repo: Command, on: RepoProcess): void {
  const examples = [
    'create team/project',
    'create secure --object-format sha256 --branch trunk --to /srv/git',
  ];
  add(repo, 'create', 'Create an empty repository.', examples)
    .argument('<name>', 'its path in the storage; .git is added')
    .option('--branch <name>', 'default branch', 'main')
    .addOption(
      new Option('--object-format <format>', 'hash of its objects')
        .choices(['sha1', 'sha256'])
        .default('sha1'),
    )
    .option(...EXPIRES)
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).createRepository));
}

function addFork(repo: Command, on: RepoProcess): void {
  const examples = [
    'fork team/project me/project',
    'fork team/project me/fix --branch main --to /srv/git',
    'fork team/project agents/run-17 --expires 2h',
    'fork team/project archive/project --copy',
  ];
  add(repo, 'fork', 'Create a fork of a repository on the same storage.', examples)
    .argument('<source>', 'the repository')
    .argument('<name>', 'path of the fork; .git is added')
    .option('--branch <name>', 'only this branch; default: all branches and tags')
    .option('--rules', 'give it the rules of the repository for pushes')
    .option('--copy', 'copy all objects, instead of borrowing them from a pool shared with the source')
    .option(...EXPIRES)
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).forkRepository));
}

function addRename(repo: Command, on: RepoProcess): void {
  add(repo, 'rename', 'Move a repository to another path.', [
    'rename team/old team/new',
    'rename old archive/old --to /srv/git --json',
  ])
    .argument('<name>', 'the repository')
    .argument('<new name>', 'its new path; .git is added')
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).renameRepository));
}

function addExpire(repo: Command, on: RepoProcess): void {
  const examples = [
    'expire agents/run-17 --in 2h',
    'expire team/project --ref refs/heads/preview/42 --in 7d',
    'expire agents/run-17 --never',
    'expire agents/run-17',
  ];
  add(repo, 'expire', 'Set when the server removes a repository or a reference, and print it.', examples)
    .argument('<name>', 'the repository')
    .option('--in <time>', 'time from now: 90m, 12h, 30d', parseSeconds)
    .option('--never', 'it is not removed any more')
    .option('--ref <name>', 'full name of a reference; default: the whole repository')
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).expireRepository));
}

function addRemove(repo: Command, on: RepoProcess): void {
  add(repo, 'remove', 'Remove repositories permanently, after confirmation.', [
    'remove team/old',
    'remove one two --yes --to /srv/git',
  ])
    .addArgument(new Argument('<name...>', 'the repositories'))
    .option('-y, --yes', 'skip the confirmation')
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).removeRepositories));
}

function addGc(repo: Command, on: RepoProcess): void {
  add(repo, 'gc', 'Run maintenance: pack objects and references, remove unreachable objects.', [
    'gc team/project',
    'gc --all --full --to /srv/git',
  ])
    .addArgument(new Argument('[name...]', 'the repositories'))
    .option('--all', 'all repositories of the storage')
    .option('--full', 'run all maintenance tasks, not only the needed ones')
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).collectGarbage));
}

function addGcLfs(repo: Command, on: RepoProcess): void {
  add(repo, 'gc-lfs', 'Remove files of Git LFS that no history names and that are older than a day.', [
    'gc-lfs --dry-run --to /srv/git',
    'gc-lfs --to /etc/gitaly/config.toml --store s3://my-files',
  ])
    .option('--store <url>', 'where the files are (default: as in the configuration, or the folder lfs)')
    .option('--dry-run', 'print what would be removed')
    .option('--orphans', 'also remove files that belong to no repository of this server')
    .action(runOnUse(on, async () => (await import('../repo/repo-gc-lfs.ts')).collectLfsFiles));
}

function addInfo(repo: Command, on: RepoProcess): void {
  add(repo, 'info', 'Print the size, the format and the default branch of a repository.', [
    'info team/project',
    'info team/project --json --to tcp://git.example.com:8075',
  ])
    .argument('<name>', 'the repository')
    .action(runOnUse(on, async () => (await import('../repo/repo.ts')).showRepository));
}

function addMigrateReferences(repo: Command, on: RepoProcess): void {
  const examples = [
    'migrate-references team/project --format reftable',
    'migrate-references --prefix team/ --format reftable --dry-run --to /srv/git',
    'migrate-references --all --format files --jobs 4 --to unix:/run/gitaly/gitaly.socket',
  ];
  add(repo, 'migrate-references', 'Store the references of repositories in another format.', examples)
    .addArgument(new Argument('[name...]', 'the repositories'))
    .addOption(
      new Option('--format <format>', 'storage format of references; the server needs git 2.46').choices([
        'reftable',
        'files',
      ]),
    )
    .option('--all', 'all repositories of the storage')
    .option('--prefix <prefix>', 'all repositories whose names begin with this')
    .option('--dry-run', 'only print the repositories that have another format')
    .option('--jobs <number>', 'repositories that are migrated concurrently', parseJobs, 2)
    .addHelpText(
      'after',
      `
Changes of a repository wait for its migration: less than a second for a small one, 1 to 3 seconds
with 100,000 references. Repositories that have the format are skipped: run the command again to
continue an interrupted run.

Exit code 0 when all have the format, 3 when some failed, 1 when all failed, 2 for wrong usage.`,
    )
    .action(runOnUse(on, async () => (await import('../repo/repo-migrate-references.ts')).migrateReferences));
}

function parseJobs(text: string): number {
  const jobs = Number(text);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS)
    throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_JOBS}.`);
  return jobs;
}
