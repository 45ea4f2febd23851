import { type Command, Option } from 'commander';
import type { RepoConsole } from '../repo/repo.ts';
import { parseSeconds } from './option-values.ts';
import { runOnUse, type ToolProcess } from './tool-command.ts';

/** Receives the output and the exit code. */
type Process = RepoConsole & ToolProcess;

/** Adds a command with the options of all. */
type Add = (repo: Command, name: string, description: string, examples: readonly string[]) => Command;

/** Adds the commands of `gitaly-ts repo` for what belongs to one repository. */
export function addRepoSettings(repo: Command, on: Process, add: Add): void {
  add(repo, 'default-branch', 'Print or set the branch with which clones begin.', [
    'default-branch team/project',
    'default-branch team/project trunk --to /srv/git',
  ])
    .argument('<name>', 'the repository')
    .argument('[branch]', 'a branch that exists')
    .action(runOnUse(on, async () => (await import('../repo/repo-settings.ts')).defaultBranch));
  add(repo, 'description', 'Print or set the description of a repository.', [
    'description team/project',
    "description team/project 'The web site' --to /srv/git",
    "description team/project ''",
  ])
    .argument('<name>', 'the repository')
    .argument('[text]', 'one line; empty removes it')
    .action(runOnUse(on, async () => (await import('../repo/repo-settings.ts')).description));
  add(repo, 'rules', 'Print, set, check or remove the rules of a repository for all pushes.', [
    'rules team/project',
    'rules team/project --set rules.json --to /srv/git',
    'rules team/project --check rules.json',
    'rules team/project --remove',
  ])
    .argument('<name>', 'the repository')
    .option('--set <file>', 'a JSON document with the rules; - is standard input')
    .option('--check <file>', 'only report whether the document is valid')
    .option('--remove', 'the repository has no rules any more')
    .action(runOnUse(on, async () => (await import('../repo/repo-settings.ts')).rules));
  add(repo, 'mirror', 'Keep a repository equal to one on another server; "list" prints all mirrors.', [
    'mirror team/linux https://git.example.com/linux.git --every 15m --to /srv/git',
    'mirror team/app https://git.example.com/app.git --credentials login.txt',
    'mirror list',
    'mirror team/linux --stop',
  ])
    .argument('<name>', 'the repository, which is created if it is missing; or list')
    .argument('[url]', 'https://… or ssh://…, without a password')
    .addOption(
      new Option('--every <time>', 'time between two runs: 15m, 6h, 1d')
        .argParser(parseSeconds)
        .default(900, '15m'),
    )
    .option('--credentials <file>', 'a line user:password, or a private key for SSH; it is copied')
    .option('--stop', 'end the mirror, and keep the repository')
    .addHelpText('after', '\ngitaly-ts up runs the mirrors of its directory, which --to names.')
    .action(runOnUse(on, async () => (await import('../repo/repo-mirror.ts')).mirror));
}
