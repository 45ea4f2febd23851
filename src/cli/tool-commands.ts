import { Argument, type Command } from 'commander';
import type { Shell } from '#tools/completion/completion';
import type { ImportOptions } from './import.ts';

/** Adds the commands of `gitaly-ts` that are tools. Each loads its code when it is used. */
export function addToolCommands(program: Command): void {
  addInit(program);
  addDoctor(program);
  addImport(program);
  addCompletion(program);
}

function addInit(program: Command): void {
  program
    .command('init')
    .description('Make a directory with a commented configuration, ready for "gitaly serve".')
    .argument('[dir]', 'made when it is not there', 'gitaly')
    .addHelpText('after', '\nExamples:\n  gitaly-ts init\n  gitaly-ts init /srv/gitaly && gitaly serve /srv/gitaly/config.toml')
    .action(async (directory: string) => {
      const { runInit } = await import('./init.ts');
      process.exitCode = await runInit(directory);
    });
}

function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Look at everything that a server needs, and say what to do about what is wrong.')
    .argument(
      '[target]',
      'a configuration file, or a directory of "gitaly-ts init" or "gitaly-ts up" (default: the machine alone)',
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts doctor
  gitaly-ts doctor /etc/gitaly/config.toml --json

Exit code 0 when nothing is wrong or there are only warnings, 1 when there are errors.`,
    )
    .action(async (target: string | undefined, options: { json?: boolean }) => {
      const { runDoctor } = await import('./doctor.ts');
      process.exitCode = await runDoctor(target, options);
    });
}

function addImport(program: Command): void {
  program
    .command('import')
    .description('Bring existing repositories into a storage.')
    .argument('[source...]', 'paths of repositories (bare or not), bundles, or URLs')
    .option(
      '--to <target>',
      'a directory as "gitaly-ts up" uses it, or the address of a server (its token in GITALY_TOKEN)',
      'data',
    )
    .option('--storage <name>', 'name of the storage', 'default')
    .option('-r, --recursive', 'look for repositories below the paths; each keeps its path as its name')
    .option('--name <name>', 'name of the repository, when there is one')
    .option('--prefix <name>', 'goes before every name: team makes team/project.git')
    .option('--list <file>', 'a source in each line, and its name after a space; - is standard input')
    .option('-j, --jobs <n>', 'repositories imported at the same time (default: half the cores, at most 4)')
    .option('--no-fsck', "take objects that fail git's checks, as old repositories may have them")
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts import --recursive /srv/git --to /srv/gitaly
  gitaly-ts import https://github.com/git/git.git --name mirrors/git --to unix:/run/gitaly/gitaly.socket

An import that was interrupted goes on when it is started again: what is complete is skipped.`,
    )
    .action(async (sources: string[], options: ImportOptions) => {
      const { runImportCommand } = await import('./import.ts');
      process.exitCode = await runImportCommand(sources, options);
    });
}

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print a script that completes the command line of gitaly-ts.')
    .addArgument(new Argument('<shell>', 'which shell the script is for').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(gitaly-ts completion bash)\n  gitaly-ts completion fish > ~/.config/fish/completions/gitaly-ts.fish',
    )
    .action(async (shell: Shell) => {
      const { completionScript } = await import('#tools/completion/completion');
      const { commandTreeOf } = await import('./command-tree.ts');
      process.stdout.write(completionScript(shell, commandTreeOf(program)));
    });
}
