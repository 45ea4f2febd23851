import { type Command, InvalidArgumentError } from 'commander';
import {
  type Act,
  CONFIG,
  type Options,
  optionalText,
  REPOSITORY_OPTION,
  type Run,
  textOf,
} from './declared-command.ts';
import { group } from './usage.ts';

/**
 * Adds the commands of Gitaly 19.0 that need transactions or Raft, which this server lacks. They
 * print that reason, or Gitaly's message without these features.
 */
export function addUnsupportedCommands(root: Command, act: Act, exit: (code: number) => void): void {
  addDatabase(group(root.command('db'), exit), act);
  addRecovery(root, act);
  addCluster(group(root.command('cluster'), exit), act);
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
    return await failWithoutDatabase(textOf(dbPath), process);
  };
  const list = add('list', 'List the keys.', '')
    .option('--prefix <prefix>', 'only keys that begin with this')
    .option('--format-keys', 'show numbers in keys as text');
  const required = ['db-path'];
  act({ command: list, required, run: fail });
  act({ command: add('get', 'Print a value.', ' <key>'), required, run: fail });
  act({ command: add('update', 'Change a value.', ' <key> <value>'), required, run: fail });
}

function addRecovery(root: Command, act: Act): void {
  const recovery = root
    .command('recovery')
    .description('Commands to recover partitions from a write-ahead log (not supported).')
    .option(...CONFIG);
  const fail: Run = async ({ config }) => {
    const { failWithoutLog } = await import('#tools/admin/transactions-only');
    return await failWithoutLog(optionalText(config), process);
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
        .option(...REPOSITORY_OPTION)
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
    config: textOf(config),
    format: textOf(format),
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
        { ...common(options), storage: textOf(storage), listPartitions: listPartitions === true },
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
        { ...common(options), partitionKey: textOf(partitionKey), relativePath: textOf(relativePath) },
        process,
      );
    },
  });
}
