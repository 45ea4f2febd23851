import { text } from 'node:stream/consumers';
import { Command, CommanderError } from 'commander';
import { messageOf } from '#base/gitaly-error';
import { withDoubleDashes } from '#base/go/double-dashes';
import { toJson } from '#base/go/encoding/json';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger, logLevel } from '#platform/log/logger';
import { processLife } from '#platform/process/process-life';
import { listenForStop } from '#platform/process/signals';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';
import { checkCommands } from './praefect-commands/check-commands.ts';
import { addCommands, longOptionNames, type PraefectCommand } from './praefect-commands/command.ts';
import { listStorages } from './praefect-commands/list-storages.ts';
import { repositoryCommands } from './praefect-commands/repository-commands.ts';
import { sqlCommands } from './praefect-commands/sql-commands.ts';
import { stateCommands } from './praefect-commands/state-commands.ts';
import { WRONG_USAGE } from './usage.ts';

const COMMANDS: readonly PraefectCommand[] = [
  listStorages,
  ...stateCommands,
  ...repositoryCommands,
  ...checkCommands,
  ...sqlCommands,
];

const EXAMPLES = `
Examples:
  praefect --config /etc/gitaly/config.praefect.toml
  praefect --config config.praefect.toml serve
  praefect --config config.praefect.toml list-storages

config.praefect.toml.example describes every key; see docs/cluster.md.`;

/** Time limit for pending output. */
const EXIT_LIMIT_MS = 1000;

/** Returns the command line of `praefect`; `exit` receives the exit code. */
function program(exit: (code: number) => void): Command {
  const root = new Command('praefect')
    .description('Cluster manager: a proxy that keeps repositories on several Gitalys.')
    .version(versionString('Praefect'), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option('--config <file>', 'configuration in TOML')
    .showHelpAfterError(WRONG_USAGE)
    .addHelpText('after', EXAMPLES)
    .action(async () => exit(await serveOrHelp(root)));
  root
    .command('serve')
    .description('Run the server until a signal stops it; the same as no command.')
    .addHelpText('after', '\nExample:\n  praefect --config config.praefect.toml serve')
    .action(async () => exit(await serveOrHelp(root)));
  addCommands(root, COMMANDS, exit);
  root
    .command('configuration')
    .description('Check a configuration.')
    .command('validate')
    .description('Print the problems of the configuration on standard input as JSON.')
    .addHelpText('after', '\nExample:\n  praefect configuration validate < config.praefect.toml')
    .action(async () => exit(await validate()));
  return root;
}

const configPath = (root: Command): string => root.opts<{ config?: string }>().config ?? '';

async function serveOrHelp(root: Command): Promise<number> {
  const path = configPath(root);
  if (path !== '') return await serve(path);
  root.outputHelp({ error: true });
  process.stderr.write('Required flag "config" not set\n');
  return 2;
}

async function serve(path: string): Promise<number> {
  process.title = 'praefect'; // pgrep and process-exporter search for this name
  // Loaded here, so that --help starts without the server's code.
  const { loadPraefectConfig, problemOfStrategy } = await import('#praefect/config/load-praefect-config');
  const loaded = await loadPraefectConfig(path).catch((error: unknown) => explain(messageOf(error)));
  if (loaded === undefined) return 1;
  const { config, unknown } = loaded;
  const problem = problemOfStrategy(config);
  if (problem !== undefined) {
    explain(`${path}: ${problem}`);
    return 1;
  }
  const format = config.logging.format === 'json' ? 'json' : 'text';
  const stream = new FdLogStream(process.stdout.fd, { format });
  const logger = createLogger({ format, level: logLevel(config.logging.level), stream });
  for (const key of unknown)
    logger.warn({ config_path: path, key: key.path.join('.') }, 'configuration key has no effect');
  using signals = listenForStop();
  try {
    const { runPraefect } = await import('#praefect/run-praefect');
    return await runPraefect(config, { logger, life: processLife(logger, signals, stream) });
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'unclean Praefect shutdown');
    return 1;
  } finally {
    await stream.end();
  }
}

/** Returns 2 if there are problems. */
async function validate(): Promise<number> {
  const { validatePraefectConfig } = await import('#praefect/config/validate-praefect-config');
  const problems = validatePraefectConfig(await text(process.stdin));
  if (problems.length === 0) return 0;
  const errors = problems.map(({ key, message }) => (key.length === 0 ? { message } : { key, message }));
  process.stdout.write(`${toJson({ errors }, 2)}\n`);
  return 2;
}

function explain(text: string): undefined {
  process.stderr.write(`praefect: ${text}\n`);
}

/** Runs a command line and returns the exit code: 0 success, 1 failure, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const root = program((value) => {
    code = value;
  });
  for (const command of [root, ...root.commands, ...root.commands.flatMap(({ commands }) => commands)])
    command.exitOverride();
  try {
    const options = new Set(['version', 'help', 'config', ...longOptionNames(COMMANDS)]);
    await root.parseAsync(withDoubleDashes(args, options), { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 1; // commander has printed the error
  }
}

tuneRuntime();
const code = await main(process.argv.slice(2));
process.exitCode = code;
// Everything has ended by now. A forgotten handle must not keep a stopped server alive.
setTimeout(() => process.exit(code), EXIT_LIMIT_MS).unref();
