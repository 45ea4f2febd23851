import { type Command, InvalidArgumentError } from 'commander';
import { logTime } from '#tools/admin/run-command';
import { group } from './usage.ts';

type Exit = (code: number) => void;
type Options = Readonly<Record<string, string | boolean | undefined>>;
type Run = (options: Options, args: readonly string[]) => Promise<number>;

const CONFIG = ['-c, --config <file>', 'configuration in TOML'] as const;
const REPOSITORY = ['--repository <path>', 'path of the repository in its storage'] as const;
const STORAGE = ['--storage <name>', 'storage of the repository (default: the only one)'] as const;

/** A command with the options that Gitaly 19.0 requires, by name. */
interface Declared {
  readonly command: Command;
  readonly required: readonly string[];
  readonly run: Run;
}

/**
 * Adds the commands of Gitaly 19.0 that act on a running server, or on git. Each loads its code on
 * use.
 */
export function addGitalyCommands(root: Command, exit: Exit): void {
  const act = ({ command, required, run }: Declared): void => {
    command.allowExcessArguments().action(async () => {
      const args = command.args;
      const options = command.optsWithGlobals() as Options; // commander's type for unknown options
      const missing = required.filter((name) => options[camel(name)] === undefined);
      exit(missing.length > 0 ? refuse(command, missing) : await run(options, args));
    });
  };
  addHooks(group(root.command('hooks'), exit), act);
  addBundleUri(root, act);
  addGit(root, act);
  addDatabase(group(root.command('db'), exit), act);
  addPool(root, act);
  addRecovery(root, act);
  addCluster(group(root.command('cluster'), exit), act);
}

type Act = (declared: Declared) => void;

/** Prints the missing options as Gitaly does, after the help. */
function refuse(command: Command, missing: readonly string[]): number {
  const names = missing.join(', ');
  const text =
    missing.length === 1 ? `Required flag "${names}" not set` : `Required flags "${names}" not set`;
  command.outputHelp();
  process.stderr.write(`${logTime(new Date())} ${text}\n`);
  return 1;
}

function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

const text = (value: string | boolean | undefined): string => (typeof value === 'string' ? value : '');
const optional = (value: string | boolean | undefined): string | undefined => text(value) || undefined;

function repositoryOf(options: Options) {
  const { config, storage, repository } = options;
  return { config: text(config), storage: optional(storage), repository: text(repository) };
}

function addHooks(hooks: Command, act: Act): void {
  hooks.description('Manage the custom hooks of repositories.');
  act({
    command: hooks
      .command('set')
      .description(
        'Replace the custom hooks of a repository with a tar archive read from standard input; an empty ' +
          'archive removes them.',
      )
      .option(...STORAGE)
      .option(...REPOSITORY)
      .option(...CONFIG)
      .addHelpText(
        'after',
        '\nExamples:\n  gitaly hooks set --repository a.git --config config.toml < hooks.tar\n' +
          '  tar -c custom_hooks | gitaly hooks set --storage default --repository a.git -c config.toml',
      ),
    required: ['repository', 'config'],
    run: async (options) => {
      const { setHooks } = await import('#tools/admin/set-hooks');
      return await setHooks(repositoryOf(options), process);
    },
  });
}

function addBundleUri(root: Command, act: Act): void {
  act({
    command: root
      .command('bundle-uri')
      .description('Generate the bundle that the running server offers to fetches of a repository.')
      .option(...STORAGE)
      .option(...REPOSITORY)
      .option(...CONFIG)
      .addHelpText(
        'after',
        '\nExamples:\n  gitaly bundle-uri --repository a.git --config config.toml\n' +
          '  gitaly bundle-uri --storage default --repository a.git -c config.toml',
      ),
    required: ['repository', 'config'],
    run: async (options) => {
      const { generateBundle } = await import('#tools/admin/generate-bundle');
      return await generateBundle(repositoryOf(options), process);
    },
  });
}

function addGit(root: Command, act: Act): void {
  act({
    command: root
      .command('git')
      .description("Run the server's git in the current directory, without automatic maintenance.")
      .argument('[args...]', 'arguments of git, after --')
      .option(...CONFIG)
      .passThroughOptions()
      .addHelpText(
        'after',
        '\nExamples:\n  gitaly git -c config.toml -- status\n' +
          '  gitaly git -c config.toml -- -C /srv/git/a.git log -1\n\n' +
          'Changes made with this command run no hooks and are not replicated in a cluster.',
      ),
    required: ['config'],
    run: async ({ config }, args) => {
      const { runGit } = await import('#tools/git-command/run-git');
      return await runGit(text(config), args, process);
    },
  });
}

function addDatabase(db: Command, act: Act): void {
  db.description('Commands for the transaction database (not supported).');
  const add = (name: string, description: string, usage: string): Command =>
    db
      .command(`${name}${usage}`)
      .description(description)
      .option('--db-path <directory>', 'directory of the database');
  const fail: Run = async ({ dbPath }) => {
    const { failWithoutDatabase } = await import('#tools/admin/transactions-only');
    return await failWithoutDatabase(text(dbPath), process);
  };
  const list = add('list', 'List the keys.', '')
    .option('--prefix <prefix>', 'only keys that begin with this')
    .option('--format-keys', 'show numbers in keys as text');
  const required = ['db-path'];
  act({ command: list, required, run: fail });
  act({ command: add('get', 'Print a value.', ' <key>'), required, run: fail });
  act({ command: add('update', 'Change a value.', ' <key> <value>'), required, run: fail });
}

function addPool(root: Command, act: Act): void {
  act({
    command: root
      .command('pool')
      .description('Record the members of object pools on the running server.')
      .option(...CONFIG)
      .addHelpText(
        'after',
        '\nExamples:\n  gitaly pool --config config.toml\n' +
          '  gitaly pool -c config.toml | grep isUpstream\n\n' +
          'The server needs database_path in [pool_metadata].',
      ),
    required: ['config'],
    run: async ({ config }) => {
      const { scanPools } = await import('#tools/admin/scan-pools');
      return await scanPools(text(config), process);
    },
  });
}

function addRecovery(root: Command, act: Act): void {
  const recovery = root
    .command('recovery')
    .description('Commands to recover partitions from a write-ahead log (not supported).')
    .option(...CONFIG);
  const fail: Run = async ({ config }) => {
    const { failWithoutLog } = await import('#tools/admin/transactions-only');
    return await failWithoutLog(optional(config), process);
  };
  const commands = [
    ['status', 'Print the state of partitions.'],
    ['replay', 'Apply archived entries of the log to partitions.'],
    ['restore', 'Restore the newest backup of a partition.'],
  ] as const;
  for (const [name, description] of commands) {
    const command = recovery
      .command(name)
      .description(description)
      .option(...CONFIG)
      .option('--storage <name>', 'storage of the partition')
      .option('--partition <id>', 'number of the partition');
    if (name !== 'restore') {
      command
        .option(...REPOSITORY)
        .option('--all', 'all partitions of the storage')
        .option('--parallel <n>', 'partitions at once', wholeNumber, '2');
    }
    act({ command, required: ['config'], run: fail });
  }
}

function wholeNumber(value: string): string {
  if (!/^-?\d+$/.test(value)) throw new InvalidArgumentError('expected a whole number.');
  return value;
}

function addCluster(cluster: Command, act: Act): void {
  cluster.description('Commands for a Raft cluster (not supported).');
  const output = (command: Command): Command =>
    command.option('--no-color', 'no colours').option('--format <format>', 'text or json', 'text');
  const common = ({ config, format, color }: Options) => ({
    config: text(config),
    format: text(format),
    color: color !== false,
  });
  act({
    command: output(
      cluster
        .command('info')
        .description('Print statistics of the cluster.')
        .option(...CONFIG)
        .option('--storage <name>', 'only partitions with a replica on this storage')
        .option('--list-partitions', 'also list the partitions'),
    ).addHelpText(
      'after',
      '\nExamples:\n  gitaly cluster info --config config.toml --list-partitions\n' +
        '  gitaly cluster info --config config.toml --format json',
    ),
    required: ['config'],
    run: async (options) => {
      const { clusterInfo } = await import('#tools/admin/cluster');
      const { storage, listPartitions } = options;
      return await clusterInfo(
        { ...common(options), storage: text(storage), listPartitions: listPartitions === true },
        process,
      );
    },
  });
  act({
    command: output(
      cluster
        .command('get-partition')
        .description('Print the replicas and repositories of a partition.')
        .option(...CONFIG)
        .option('--partition-key <key>', 'key of the partition, 64 hexadecimal digits')
        .option('--relative-path <path>', 'path of a repository in the partition'),
    ).addHelpText(
      'after',
      '\nExamples:\n  gitaly cluster get-partition --config config.toml --relative-path a.git\n' +
        '  gitaly cluster get-partition --config config.toml --relative-path a.git --format json',
    ),
    required: ['config'],
    run: async (options) => {
      const { partitionDetails } = await import('#tools/admin/cluster');
      const { partitionKey, relativePath } = options;
      return await partitionDetails(
        { ...common(options), partitionKey: text(partitionKey), relativePath: text(relativePath) },
        process,
      );
    },
  });
}
