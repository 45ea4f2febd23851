import type { Command } from 'commander';

const EXAMPLES = `
Examples:
  gitaly-ts cluster status /srv/cluster
  gitaly-ts cluster status --config /etc/gitaly/config.praefect.toml --json`;

/** Adds `gitaly-ts cluster`. Its code is loaded on use. */
export function addClusterCommands(program: Command): void {
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
