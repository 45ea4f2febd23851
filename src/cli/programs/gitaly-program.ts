import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { versionString } from '#platform/process/version';
import { check } from '../check.ts';
import { addGitalyCommands } from '../commands/gitaly-commands.ts';
import { commandHint, group, suggestNames, writeUsageError } from '../commands/usage.ts';
import { addWorker } from '../serve/add-worker.ts';
import { runServe } from '../serve/serve.ts';
import { validateConfiguration } from '../validate-configuration.ts';

const EXAMPLES = `
Examples:
  gitaly serve /etc/gitaly/config.toml
  gitaly check /etc/gitaly/config.toml
  gitaly configuration validate < /etc/gitaly/config.toml

config.toml.example describes every key. To try the server without a configuration: gitaly-ts up`;

const VALIDATE_EXAMPLES = `
Examples:
  gitaly configuration validate < /etc/gitaly/config.toml
  make-config | gitaly configuration validate`;

/** Returns the command line of `gitaly`; `exit` receives the exit code. */
export function gitalyProgram(exit: (code: number) => void): Command {
  const root = new Command('gitaly')
    .description('A Git RPC service: stores repositories and serves them over gRPC.')
    .version(versionString('Gitaly'), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .usage('[--version] [--help] <configfile> | <command>')
    .argument('[configfile]', 'same as "serve <configfile>"')
    .allowExcessArguments()
    .enablePositionalOptions()
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    .action(async () => exit(await serveOrHelp(root)));

  const serveCommand = root
    .command('serve')
    .description('Run the server until a signal stops it.')
    .argument('[configfile]', 'configuration in TOML')
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nExamples:\n  gitaly serve /etc/gitaly/config.toml\n' +
        '  GITALY_TESTING_GIT_BINARY=/opt/git/bin/git gitaly serve config.toml',
    )
    .action(async () => exit(await serveOrHelp(serveCommand)));

  const checkCommand = root
    .command('check')
    .description("Check GitLab's internal API, git and the configuration; print a fix for each problem.")
    .argument('[configfile]', 'configuration in TOML')
    .allowExcessArguments()
    .option('--json', 'print the results as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  gitaly check /etc/gitaly/config.toml\n' + '  gitaly check config.toml --json',
    )
    .action(async (_path: string | undefined, options: { json?: boolean }) =>
      exit(await checkOrHelp(options, checkCommand)),
    );

  group(root.command('configuration'), exit)
    .description('Commands about the configuration.')
    .addHelpText('after', VALIDATE_EXAMPLES)
    .command('validate')
    .description('Validate the configuration on standard input; print problems as JSON.')
    .addHelpText('after', VALIDATE_EXAMPLES)
    .allowExcessArguments() // as Gitaly does
    .action(async () => exit(await validateInput()));
  root
    .command('validate-configuration', { hidden: true }) // its name in 15.x
    .description('Old name of "configuration validate".')
    .action(async () => exit(await validateInput()));
  addWorker(root, exit, async () => (await import('#gitaly/run-worker')).runWorker());
  addGitalyCommands(root, exit);
  suggestNames(root, writeUsageError);
  return root;
}

async function checkOrHelp(options: { json?: boolean }, command: Command): Promise<number> {
  const [configPath, ...others] = command.args;
  if (configPath && others.length === 0) return check(configPath, options);
  command.outputHelp();
  process.stderr.write('error: invalid argument(s)\n');
  return 2;
}

async function validateInput(): Promise<number> {
  const { exitCode, stdout, stderr, warnings = [] } = await validateConfiguration(await text(process.stdin));
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  return exitCode;
}

async function serveOrHelp(command: Command): Promise<number> {
  const [configPath, ...others] = command.args;
  const hint = commandHint(command);
  if (configPath && others.length === 0) {
    const code = await runServe(configPath);
    if (hint !== '' && !existsSync(configPath)) process.stderr.write(hint);
    return code;
  }
  command.outputHelp();
  process.stderr.write(hint);
  return 2;
}
