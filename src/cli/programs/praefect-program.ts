import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { messageOf } from '#base/gitaly-error';
import { withDoubleDashes, withFlagValues } from '#base/go/double-dashes';
import { toJson } from '#base/go/encoding/json';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger, type Logger, logLevel } from '#platform/log/logger';
import { nonBlocking } from '#platform/log/non-blocking';
import { misspeltVariables } from '#platform/process/own-variables';
import { processLife } from '#platform/process/process-life';
import { listenForStop } from '#platform/process/signals';
import { versionString } from '#platform/process/version';
import type { PraefectConfig } from '#praefect/config/schema';
import type { RunPraefectOptions } from '#praefect/run-praefect';
import { logTime } from '#tools/admin/run-command';
import { commandHint, group, suggestNames, writePraefectUsageError } from '../commands/usage.ts';
import { explainedMessage } from '../explained-message.ts';
import { checkCommands } from '../praefect-commands/check-commands.ts';
import {
  addCommands,
  flagNames,
  longOptionNames,
  type PraefectCommand,
  type PraefectOutput,
} from '../praefect-commands/command.ts';
import { listStorages } from '../praefect-commands/list-storages.ts';
import { poolCommand } from '../praefect-commands/pool-command.ts';
import { repositoryCommands } from '../praefect-commands/repository-commands.ts';
import { sqlCommands } from '../praefect-commands/sql-commands.ts';
import { stateCommands } from '../praefect-commands/state-commands.ts';
import { addWorker } from '../serve/add-worker.ts';
import { withOperator } from '../serve/answer-operator.ts';

/** The commands that are described as data. */
const COMMANDS: readonly PraefectCommand[] = [
  listStorages,
  ...stateCommands,
  ...repositoryCommands,
  ...checkCommands,
  ...sqlCommands,
  poolCommand,
];

const EXAMPLES = `
Examples:
  praefect --config /etc/gitaly/config.praefect.toml
  praefect --config config.praefect.toml serve
  praefect --config config.praefect.toml list-storages

config.praefect.toml.example describes every key; see docs/cluster.md.`;

/**
 * Returns the command line of `praefect`.
 *
 * @param exit receives the exit code.
 * @param output of help and commands; `serve` and `configuration` write to the process's.
 */
export function praefectProgram(exit: (code: number) => void, output: PraefectOutput = process): Command {
  const root = new Command('praefect')
    .configureOutput({
      writeOut: (text) => void output.stdout.write(text),
      writeErr: (text) => void output.stderr.write(text),
    })
    .description(
      'Cluster manager: replicates repositories across several Gitaly nodes and routes calls to them.',
    )
    .version(versionString('Praefect'), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option('--config <file>', 'configuration in TOML')
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments()
    .action(async () =>
      exit(root.args.length > 0 ? unknownCommand(root, output) : await serveOrHelp(root, output)),
    );
  root
    .command('serve')
    .description('Run the server until a signal stops it (the default command).')
    .addHelpText('after', '\nExample:\n  praefect --config config.praefect.toml serve')
    .action(async () => exit(await serveOrHelp(root, output)));
  addCommands(root, COMMANDS, { exit, output });
  group(root.command('configuration').description('Validate a configuration.'), exit)
    .command('validate')
    .description('Validate the configuration on standard input; print problems as JSON.')
    .addHelpText('after', '\nExample:\n  praefect configuration validate < config.praefect.toml')
    .action(async () => exit(await validate()));
  addWorker(root, exit, async () => (await import('#praefect/run-worker')).runWorker());
  suggestNames(root, writePraefectUsageError);
  return root;
}

/** Returns the arguments of `praefect` as Go's parser reads them. */
export function praefectArguments(args: readonly string[]): readonly string[] {
  const options = new Set(['version', 'help', 'config', ...longOptionNames(COMMANDS)]);
  const [first = '', ...topics] = args;
  const wanted = first === 'help' || first === 'h' ? [...topics, '--help'] : args;
  return withFlagValues(withDoubleDashes(wanted, options), flagNames(COMMANDS));
}

function unknownCommand(root: Command, { stderr }: PraefectOutput): number {
  stderr.write(`praefect doesn't accept positional arguments\n${commandHint(root)}`);
  return 1;
}

const configPath = (root: Command): string => root.opts<{ config?: string }>().config ?? '';

async function serveOrHelp(root: Command, { stderr }: PraefectOutput): Promise<number> {
  const path = configPath(root);
  if (path !== '') return await serve(path);
  root.outputHelp();
  stderr.write(`${logTime(new Date())} Required flag "config" not set\n`);
  return 2;
}

async function serve(path: string): Promise<number> {
  process.title = 'praefect'; // pgrep and process-exporter search for this name
  // Loaded here, so that --help starts without the server's code.
  const [{ loadPraefectConfig }, { problemOfStrategy }] = await Promise.all([
    import('#praefect/config/load-praefect-config'),
    import('#praefect/config/strategy'),
  ]);
  const loaded = await loadPraefectConfig(path).catch((error: unknown) => explain(explainedMessage(error)));
  if (loaded === undefined) return 1;
  const { config, warnings } = loaded;
  const problem = problemOfStrategy(config);
  if (problem !== undefined) {
    explain(`${path}: ${problem}`);
    return 1;
  }
  const format = config.logging.format === 'json' ? 'json' : 'text';
  const stream = new FdLogStream(nonBlocking(process.stdout.fd), { format });
  const logger = createLogger({ format, level: logLevel(config.logging.level), stream });
  for (const { fields, message } of warnings) logger.warn({ config_path: path, ...fields }, message);
  for (const message of misspeltVariables()) logger.warn(message);
  using signals = listenForStop();
  try {
    const life = processLife(logger, signals, stream);
    const { runPraefect } = await import('#praefect/run-praefect');
    const openConsole = await consoleOf(config, logger, life.inherited.predecessor !== undefined);
    const companion = withOperator(openConsole, ({ calls }) => calls);
    return await runPraefect(config, { logger, life, openConsole: companion });
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'unclean Praefect shutdown');
    return 1;
  } finally {
    await stream.end();
  }
}

/**
 * Returns a function that opens the console; `undefined` without a console, whose code is then not
 * loaded.
 */
async function consoleOf(
  config: PraefectConfig,
  logger: Logger,
  hasPredecessor: boolean,
): Promise<RunPraefectOptions['openConsole']> {
  if (config.console.listenAddr === undefined) return undefined;
  const { praefectConsole } = await import('../serve/serve-praefect-console.ts');
  return praefectConsole(config, { logger, hasPredecessor });
}

/** Returns 2 if there are problems. */
async function validate(): Promise<number> {
  const { validatePraefectConfig } = await import('#praefect/config/validate-praefect-config');
  const { problems, warnings } = validatePraefectConfig(await text(process.stdin));
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  if (problems.length === 0) return 0;
  const errors = problems.map(({ key, message }) => (key.length === 0 ? { message } : { key, message }));
  process.stdout.write(`${toJson({ errors }, 2)}\n`);
  return 2;
}

function explain(text: string): undefined {
  process.stderr.write(`praefect: ${text}\n`);
}
