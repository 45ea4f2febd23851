import type { Command } from 'commander';

const EXAMPLES = `
Examples:
  gitaly-ts config check /etc/gitaly-ts/up.toml
  gitaly-ts config check up.toml --json

Exit code 0 for a file that "gitaly-ts up --config" accepts, 1 otherwise.`;

/** Adds `gitaly-ts config`. @param up the command whose options are the keys of the file. */
export function addConfigCommands(program: Command, up: Command): void {
  program
    .command('config')
    .description('Check the file of "gitaly-ts up --config".')
    .addHelpText('after', EXAMPLES)
    .command('check')
    .description('Print each problem of a file of options with its line; create nothing.')
    .argument('<file>', 'file in TOML')
    .option('--json', 'print the problems as JSON')
    .exitOverride()
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: { readonly json?: boolean }) => {
      const { runConfigCheck } = await import('../config-check.ts');
      process.exitCode = await runConfigCheck(up, file, { isJson: options.json === true });
    });
}
