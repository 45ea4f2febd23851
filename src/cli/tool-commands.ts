import type { Command } from 'commander';
import type { ImportOptions } from './import.ts';

/** Adds the commands of `gitaly-ts` that are tools. Each loads its code when it is used. */
export function addToolCommands(program: Command): void {
  addImport(program);
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
