import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseDurationMs } from '#base/go/duration';
import { quote } from '#base/go/quote';
import { systemErrorText } from '#base/go/system-error';
import { createLogger } from '#platform/log/logger';
import type { Database } from '#praefect/database/database';
import type { Nodes } from '#praefect/nodes/nodes';
import type { TrackOptions } from '#praefect/tracking/track-repository';
import { isSet, optionText, type PraefectCommand, type PraefectInput } from './command.ts';
import { connect, connectToPraefect, failedCall } from './connect.ts';
import { openDatabase } from './sql-commands.ts';

const WALK_BATCH = 16;

const REPOSITORY = [
  { flags: '--virtual-storage <name>', description: 'virtual storage of the repository', isRequired: true },
  { flags: '--relative-path <path>', description: 'relative path in client requests', isRequired: true },
];
const NOW = {
  flags: '--replicate-immediately',
  description: 'replicate to the other nodes before returning',
};

/** Commands that add repositories to the database and remove them. */
export const repositoryCommands: readonly PraefectCommand[] = [
  {
    name: 'remove-repository',
    description: 'Remove a repository from the database and from all nodes.',
    example: 'remove-repository --virtual-storage default --relative-path x.git --apply',
    options: [
      ...REPOSITORY,
      { flags: '--apply', description: 'remove the repository; without this flag only print where it is' },
      { flags: '--db-only', description: 'keep the replicas on the nodes' },
    ],
    run: removeRepository,
  },
  {
    name: 'track-repository',
    description: 'Add a repository that exists on a node to the database.',
    example:
      'track-repository --virtual-storage default --relative-path x.git --replica-path x.git ' +
      '--authoritative-storage gitaly-1',
    options: [
      ...REPOSITORY,
      { flags: '--replica-path <path>', description: 'path on the disk of the node', isRequired: true },
      {
        flags: '--authoritative-storage <name>',
        description: 'storage of the node with the current replica',
      },
      NOW,
    ],
    async run(input) {
      if (optionText(input, 'authoritative-storage') === '')
        throw new Error('Required flag "authoritative-storage" not set');
      await using tracking = await startTracking(input);
      const { trackRepository } = await import('#praefect/tracking/track-repository');
      await trackRepository(tracking.parts, {
        virtualStorage: optionText(input, 'virtual-storage'),
        relativePath: optionText(input, 'relative-path'),
        replicaPath: optionText(input, 'replica-path'),
        authoritativeStorage: optionText(input, 'authoritative-storage'),
      });
      return undefined;
    },
  },
  {
    name: 'track-repositories',
    description: 'Add repositories listed in a JSON Lines file to the database.',
    example: 'track-repositories --input-path repositories.jsonl',
    options: [
      {
        flags: '--input-path <file>',
        description:
          'lines with the keys relative_path, replica_path, virtual_storage, authoritative_storage',
        isRequired: true,
      },
      NOW,
    ],
    async run(input) {
      const path = optionText(input, 'input-path');
      const text = await readFile(path, 'utf8').catch((error: unknown) => {
        throw new Error(`open input: open ${path}: ${systemErrorText(error)}`, { cause: error });
      });
      const lines = text.split('\n');
      if (lines.at(-1) === '') lines.pop();
      await using tracking = await startTracking(input);
      const { trackRepositories } = await import('#praefect/tracking/track-list');
      await trackRepositories(tracking.parts, { path, lines });
      return undefined;
    },
  },
  {
    name: 'list-untracked-repositories',
    description: 'List repositories on the nodes that are missing from the database.',
    example: 'list-untracked-repositories --older-than 1h',
    options: [
      { flags: '--delimiter <text>', description: 'text printed after each repository', default: '\n' },
      {
        flags: '--older-than <duration>',
        description: 'only repositories last changed this long ago',
        default: '6h',
        type: 'duration',
      },
    ],
    run: listUntracked,
  },
];

async function removeRepository(input: PraefectInput): Promise<undefined> {
  const { config, print } = input;
  const [virtualStorage, relativePath] = [
    optionText(input, 'virtual-storage'),
    optionText(input, 'relative-path'),
  ];
  const repository = { virtualStorage, relativePath };
  await using database = await openDatabase(config, 'connect to database');
  const [{ RepositoryLookups }, { RepositoryRemovals }, { removeReplicationJobs }] = await Promise.all([
    import('#praefect/store/repository-lookups'),
    import('#praefect/store/repository-removals'),
    import('#praefect/tracking/remove-jobs'),
  ]);
  if (!(await new RepositoryLookups(database).exists(repository)))
    throw new Error('repository is not being tracked in Praefect');
  print('Repository found in the database.');
  if (!isSet(input, 'apply')) {
    print(
      'Re-run the command with -apply to remove repositories from the database and disk or -apply and ' +
        '-db-only to remove from database only.',
    );
    return;
  }
  if (isSet(input, 'db-only')) {
    print(`Attempting to remove ${relativePath} from the database...`);
    await new RepositoryRemovals(database).remove(repository);
    print('Repository removal from database completed.');
    await removeReplicationJobs(database, repository);
    return;
  }
  print(`Attempting to remove ${relativePath} from the database, and delete it from all gitaly nodes...`);
  await using connection = await connectToPraefect(config, 'repository removal failed: error dialing');
  await connection.repository
    .removeRepository(
      { repository: { storageName: virtualStorage, relativePath } },
      { correlationId: randomUUID(), metadata: { client_name: 'remove-repository' } },
    )
    .catch(failedCall('repository removal failed'));
  print('Repository removal completed.');
  print('Removing replication events...');
  await removeReplicationJobs(database, repository);
  print('Replication event removal completed.');
  return undefined;
}

async function startTracking(
  input: PraefectInput,
): Promise<
  AsyncDisposable & { readonly parts: TrackOptions; readonly database: Database; readonly nodes: Nodes }
> {
  const [{ Nodes }, { PostgresQueue }] = await Promise.all([
    import('#praefect/nodes/nodes'),
    import('#praefect/replication/postgres-queue'),
  ]);
  await using building = new AsyncDisposableStack();
  const database = building.use(await openDatabase(input.config, 'connect to database'));
  const nodes = building.use(await Nodes.dial(input.config, (stream) => stream.destroy()));
  const logger = createLogger({ format: 'text', level: 'error', stream: input.output.stderr });
  const resources = building.move();
  return {
    database,
    nodes,
    parts: {
      config: input.config,
      database,
      queue: new PostgresQueue(database, logger),
      nodes: nodes.byStorage,
      replicatesNow: isSet(input, 'replicate-immediately'),
      print: input.print,
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function listUntracked(input: PraefectInput): Promise<undefined> {
  const minAgeMs = parseDurationMs(optionText(input, 'older-than'));
  const delimiter = optionText(input, 'delimiter');
  const { untrackedRepositories } = await import('#praefect/repair/untracked');
  await using database = await openDatabase(input.config, 'connect to database');
  let isFirst = true;
  const nodes = input.config.virtualStorage.flatMap(({ name, node }) =>
    node.map((each) => ({ ...each, virtualStorage: name })),
  );
  for (const { address, storage, token, virtualStorage } of nodes) {
    const prefix = `dial nodes: dial with ${JSON.stringify(storage)} gitaly at ${JSON.stringify(address)}`;
    await using connection = await connect(address, { prefix, token: token?.reveal() });
    const found = untrackedRepositories({
      database,
      connection,
      virtualStorage,
      storage,
      minAgeMs,
      batchSize: WALK_BATCH,
      signal: new AbortController().signal,
    });
    try {
      for await (const path of found) {
        if (isFirst)
          input.print(
            'The following repositories were found on disk, but missing from the tracking database:',
          );
        isFirst = false;
        const line = { relative_path: path, storage, virtual_storage: virtualStorage };
        input.output.stdout.write(JSON.stringify(line) + delimiter);
      }
    } catch (error) {
      failedCall(`exec on ${quote(virtualStorage)}/${quote(storage)}`)(error);
    }
  }
  return undefined;
}
