import { type Command, InvalidArgumentError } from 'commander';
import { listenForStop } from '#platform/process/signals';

/** Adds the commands of `gitaly-ts` that look at a running server. Each loads its code on use. */
export function addServerCommands(program: Command): void {
  addTop(program);
}

function addTop(program: Command): void {
  program
    .command('top')
    .description('Show what a server is doing now: calls, queues, git processes and caches.')
    .argument(
      '<address>',
      'HOST:PORT of its monitoring listener (prometheus_listen_addr), or its configuration',
    )
    .option('--once', 'print it once; this is what happens without a terminal')
    .option('--json', 'print it once, as JSON')
    .option('--interval <seconds>', 'time between two refreshes', seconds, 2)
    .addHelpText(
      'after',
      '\nExamples:\n  gitaly-ts top localhost:9236\n' +
        '  gitaly-ts top /etc/gitaly/config.toml --json | jq .queues\n\n' +
        'The same JSON is at http://HOST:PORT/debug/top. Ctrl-C ends the display.',
    )
    .action(async (target: string, options: { once?: boolean; json?: boolean; interval: number }) => {
      const { runTop } = await import('#tools/top/run-top');
      using signals = listenForStop();
      process.exitCode = await runTop({
        target,
        once: options.once === true,
        json: options.json === true,
        intervalMs: options.interval * 1000,
        stdout: process.stdout,
        stderr: process.stderr,
        signal: signals.stop,
      });
    });
}

function seconds(value: string): number {
  const number = Number(value);
  if (!(number >= 0.1 && number <= 3600)) throw new InvalidArgumentError('expected 0.1 to 3600.');
  return number;
}
