import { type Command, InvalidArgumentError, Option } from 'commander';
import { listenForStop } from '#platform/process/signals';

/** Adds the commands of `gitaly-ts` that check a running server. Each loads its code on use. */
export function addServerCommands(program: Command): void {
  addTop(program);
  addExplain(program);
}

function addTop(program: Command): void {
  program
    .command('top')
    .description('Show the calls, queues, git processes and caches of a running server.')
    .argument(
      '<address>',
      'HOST:PORT of its monitoring listener (prometheus_listen_addr), or its configuration',
    )
    .option('--once', 'print once and exit; the default without a terminal')
    .option('--json', 'print once, as JSON')
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

function addExplain(program: Command): void {
  program
    .command('explain')
    .description('Make one call; show its git commands, their cost, and the cache hits.')
    .argument('<address>', 'address of the server: unix:PATH, tcp://HOST:PORT or tls://HOST:PORT')
    .argument('<method>', 'FindCommit, or CommitService/FindCommit if several services have it')
    .argument('[request]', 'the request as JSON, a list of them for a stream, or - for standard input', '{}')
    .addOption(
      new Option('--metadata <key=value>', 'metadata of the call; may be repeated')
        .argParser(collectPair)
        .default({}, 'none'),
    )
    .option('--json', 'print the explanation as JSON')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts explain unix:/run/gitaly.socket ServerInfo
  gitaly-ts explain tcp://localhost:9999 CountCommits - < request.json

request.json: {"repository":{"storageName":"default","relativePath":"a.git"},"revision":"text:main"}
Values of bytes fields are base64, or "text:" followed by text. The call is executed, even if it
changes the repository.
The server needs "explain = true" in [git]. GITALY_TOKEN is its token.`,
    )
    .action(async (address: string, method: string, request: string, options: ExplainFlags) => {
      const { runExplain } = await import('#tools/explain/run-explain');
      using signals = listenForStop();
      process.exitCode = await runExplain({
        address,
        method,
        request,
        token: process.env.GITALY_TOKEN,
        metadata: options.metadata,
        json: options.json === true,
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
        signal: signals.stop,
      });
    });
}

interface ExplainFlags {
  readonly metadata: Readonly<Record<string, string>>;
  readonly json?: boolean;
}

function collectPair(
  pair: string,
  others: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
  if (!/^[0-9A-Za-z_.-]+$/.test(key)) throw new InvalidArgumentError('expected key=value.');
  return { ...others, [key.toLowerCase()]: value };
}

function seconds(value: string): number {
  const number = Number(value);
  if (!(number >= 0.1 && number <= 3600)) throw new InvalidArgumentError('expected 0.1 to 3600.');
  return number;
}
