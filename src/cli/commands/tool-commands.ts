import { Argument, type Command } from 'commander';
import type { Shell } from '#tools/completion/completion';
import type { ImportOptions } from '../import.ts';
import type { TestEnvArguments } from '../test-env.ts';
import { addArchiveCommands } from './archive-commands.ts';
import { addBackupCommands } from './backup-commands.ts';
import { addRepoCommands } from './repo-commands.ts';
import { addServerCommands } from './server-commands.ts';
import { addTokenCommands } from './token-commands.ts';
import { addUserCommands } from './user-commands.ts';

/** Adds the tool commands of `gitaly-ts`. Each loads its code on use. */
export function addToolCommands(program: Command, up: Command): void {
  addInit(program, up);
  addDoctor(program, up);
  addImport(program);
  addRepoCommands(program);
  addBackupCommands(program);
  addArchiveCommands(program);
  addTokenCommands(program);
  addUserCommands(program);
  addServerCommands(program);
  addClusterCommands(program);
  addTestEnv(program);
  addCompletion(program);
}

function addInit(program: Command, up: Command): void {
  const init = program
    .command('init')
    .description('Create a directory with a commented configuration, ready for "gitaly serve".')
    .argument('[dir]', 'directory; created if it does not exist', 'gitaly')
    .addHelpText(
      'after',
      '\nExamples:\n  gitaly-ts init\n  gitaly-ts init /srv/gitaly && gitaly serve /srv/gitaly/config.toml',
    )
    .action(async (directory: string) => {
      const { runInit } = await import('../init.ts');
      process.exitCode = await runInit(directory);
    });
  init
    .command('up')
    .description('Write a documented file of options for "gitaly-ts up --config", with safe defaults.')
    .argument('[file]', 'the new file; one that exists is not overwritten', '/etc/gitaly-ts/up.toml')
    .option('--directory <dir>', 'directory of the repositories', '/var/lib/gitaly-ts')
    .exitOverride()
    .addHelpText(
      'after',
      '\nExamples:\n  gitaly-ts init up\n' +
        '  gitaly-ts init up ./up.toml --directory ./data && gitaly-ts up --config up.toml',
    )
    .action(async (file: string, { directory }: { readonly directory: string }) => {
      const { runInitUp } = await import('../init-up.ts');
      process.exitCode = await runInitUp(up, { file, directory });
    });
}

function addDoctor(program: Command, up: Command): void {
  program
    .command('doctor')
    .description('Check the machine, the configuration and a running server; print a fix for each problem.')
    .argument(
      '[target]',
      'a configuration file, one of "gitaly-ts up --config", a directory of "gitaly-ts init" or ' +
        '"gitaly-ts up", or the URL of a bucket (default: the machine, and a complete test)',
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts doctor
  gitaly-ts doctor /etc/gitaly/config.toml --json
  gitaly-ts doctor /etc/gitaly-ts/up.toml
  gitaly-ts doctor 's3://bucket?region=eu-west-1'

Exit code 0 without errors (warnings are allowed), 1 with errors.`,
    )
    .action(async (target: string | undefined, options: { json?: boolean }) => {
      const { runDoctor } = await import('../doctor.ts');
      process.exitCode = await runDoctor(target, { ...options, up });
    });
}

function addImport(program: Command): void {
  program
    .command('import')
    .description('Import existing repositories into a storage.')
    .argument('[source...]', 'paths of repositories (bare or not), bundles, or URLs')
    .option(
      '--to <target>',
      'a directory of "gitaly-ts up", or the address of a server (with its token in GITALY_TOKEN)',
      'data',
    )
    .option('--storage <name>', 'name of the storage', 'default')
    .option('-r, --recursive', 'find repositories below the paths; each keeps its path as its name')
    .option('--name <name>', 'name of the repository, if there is only one')
    .option('--prefix <name>', 'prefix of every name: team gives team/project.git')
    .option('--list <file>', 'file with one source per line, and its name after a space; - is standard input')
    .option('-j, --jobs <n>', 'repositories imported at the same time (default: half the cores, at most 4)')
    .option('--no-fsck', "skip git's object checks, which some old repositories fail")
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts import --recursive /srv/git --to /srv/gitaly
  gitaly-ts import https://github.com/git/git.git --name mirrors/git --to unix:/run/gitaly/gitaly.socket

To continue an interrupted import, run the same command again: complete repositories are skipped.`,
    )
    .action(async (sources: string[], options: ImportOptions) => {
      const { runImportCommand } = await import('../import.ts');
      process.exitCode = await runImportCommand(sources, options);
    });
}

function addTestEnv(program: Command): void {
  program
    .command('test-env')
    .description('Run a test server for a test suite in any language, until the suite ends.')
    .argument('<dir>', 'directory for all files; created if it does not exist, can be removed at any time')
    .option(
      '--storage <name>',
      'name of a storage; may be repeated (default: "default")',
      (name: string, others: readonly string[] = []): readonly string[] => [...others, name],
    )
    .option('--token <token>', 'token of the clients (default: a new one)')
    .option('--praefect', 'also start a Praefect for the server, with its state in memory')
    .option('--json', 'when ready, print one line of JSON with addresses, token and storages')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts test-env tmp/tests/gitaly --json
  GITALY_SERVER_VERSION=../gitaly gitaly-ts test-env tmp/tests/gitaly

Environment:
  GITALY_SERVER_VERSION  the server to run: a folder with a build (Gitaly's or ours), a release without v,
                         a branch or a commit (default: this one)
  GITALY_REPO_URL        the repository to build releases, branches and commits from (default: releases
                         of gitaly-ts come from npm)`,
    )
    .action(async (directory: string, options: TestEnvArguments) => {
      const { runTestEnvCommand } = await import('../test-env.ts');
      process.exitCode = await runTestEnvCommand(directory, options);
    });
}

/** Programs with completion: people type their commands. */
const COMPLETED = ['gitaly-ts', 'gitaly', 'praefect'] as const;

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print a completion script for gitaly-ts, gitaly or praefect.')
    .addArgument(new Argument('<shell>', 'shell of the script').choices(['bash', 'zsh', 'fish']))
    .addArgument(new Argument('[program]', 'program to complete').choices(COMPLETED).default('gitaly-ts'))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(gitaly-ts completion bash)\n  source <(gitaly-ts completion bash gitaly)\n' +
        '  gitaly-ts completion fish > ~/.config/fish/completions/gitaly-ts.fish',
    )
    .action(async (shell: Shell, name: (typeof COMPLETED)[number]) => {
      const { completionScript } = await import('#tools/completion/completion');
      const { programs } = await import('../programs/programs.ts');
      process.stdout.write(completionScript(shell, await programs(() => program)[name]()));
    });
}

const EXAMPLES = `
Examples:
  gitaly-ts cluster status /srv/cluster
  gitaly-ts cluster status --config /etc/gitaly/config.praefect.toml --json`;

/** Adds `gitaly-ts cluster`. Its code is loaded on use. */
function addClusterCommands(program: Command): void {
  const cluster = program
    .command('cluster')
    .description('Inspect a cluster: praefect and its nodes.')
    .addHelpText('after', EXAMPLES);
  cluster
    .command('status')
    .description('Print the nodes with health, primaries and lag, and unavailable repositories.')
    .argument(
      '[target]',
      'a directory of "gitaly-ts up --cluster", or the address of a praefect (default: "data")',
    )
    .option('--config <file>', "praefect's configuration; its database is read")
    .option('--json', 'print the status as JSON')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts cluster status /srv/cluster
  gitaly-ts cluster status --config /etc/gitaly/config.praefect.toml --json
  GITALY_TOKEN=secret gitaly-ts cluster status tcp://praefect.example.com:2305

With a directory or a configuration, the status is read from the database. With an address, it is read
from praefect, and lacks primaries and jobs.
Exit code 0 when every node is healthy and every replica up to date, 1 otherwise.`,
    )
    .action(async (target: string | undefined, options: { config?: string; json?: boolean }) => {
      const { runClusterStatus } = await import('../cluster/run-cluster-status.ts');
      process.exitCode = await runClusterStatus({
        target,
        config: options.config,
        isJson: options.json === true,
        token: process.env.GITALY_TOKEN,
      });
    });
}
