import { quote } from '#base/go/quote';
import type { Connection } from '#client/index';
import { isSet, optionText, type PraefectCommand, type PraefectInput } from './command.ts';
import { connectToPraefect, failedCall } from './connect.ts';

type Print = PraefectInput['print'];

const VIRTUAL_STORAGE = '--virtual-storage <name>';
const RELATIVE_PATH = '--relative-path <path>';
const REPOSITORY = [
  { flags: VIRTUAL_STORAGE, description: 'virtual storage of the repository', isRequired: true },
  { flags: RELATIVE_PATH, description: 'relative path in client requests', isRequired: true },
];

/** Commands that read or change the state by calls of a running Praefect. */
export const stateCommands: readonly PraefectCommand[] = [
  {
    name: 'dataloss',
    description: 'List repositories without a healthy, up-to-date replica.',
    example: 'dataloss --partially-unavailable',
    options: [
      { flags: VIRTUAL_STORAGE, description: 'only this virtual storage' },
      {
        flags: '--partially-unavailable',
        description: 'also list repositories with an unavailable assigned replica',
      },
    ],
    run: dataloss,
  },
  {
    name: 'accept-dataloss',
    description: 'Make one replica authoritative; changes that only other replicas have are lost.',
    example:
      'accept-dataloss --virtual-storage default --relative-path x.git --authoritative-storage gitaly-2',
    options: [
      ...REPOSITORY,
      {
        flags: '--authoritative-storage <name>',
        description: 'storage of the authoritative replica',
        isRequired: true,
      },
    ],
    async run(input) {
      await using connection = await connectToPraefect(input.config, 'error dialing');
      await connection.praefectInfo
        .setAuthoritativeStorage({
          virtualStorage: optionText(input, 'virtual-storage'),
          relativePath: optionText(input, 'relative-path'),
          authoritativeStorage: optionText(input, 'authoritative-storage'),
        })
        .catch(failedCall('set authoritative storage'));
      return undefined;
    },
  },
  {
    name: 'set-replication-factor',
    description: 'Set the number of replicas of a repository.',
    example: 'set-replication-factor --virtual-storage default --relative-path x.git --replication-factor 2',
    options: [
      ...REPOSITORY,
      {
        flags: '--replication-factor <count>',
        description: 'number of replicas',
        isRequired: true,
        type: 'uint',
      },
    ],
    async run(input) {
      await using connection = await connectToPraefect(input.config, 'error dialing');
      const { storages } = await connection.praefectInfo
        .setReplicationFactor({
          virtualStorage: optionText(input, 'virtual-storage'),
          relativePath: optionText(input, 'relative-path'),
          replicationFactor: Number(optionText(input, 'replication-factor')),
        })
        .catch(failedCall());
      input.print(`current assignments: ${storages.join(', ')}`);
      return undefined;
    },
  },
  {
    name: 'metadata',
    description: 'Print the database records of a repository.',
    example: 'metadata --virtual-storage default --relative-path x.git',
    options: [
      { flags: '--repository-id <id>', description: 'ID of the repository', type: 'int' },
      { flags: VIRTUAL_STORAGE, description: 'virtual storage of the repository' },
      { flags: RELATIVE_PATH, description: 'relative path in client requests' },
    ],
    run: metadata,
  },
  {
    name: 'verify',
    description: 'Queue replicas for verification.',
    example: 'verify --virtual-storage default --storage gitaly-2',
    options: [
      { flags: '--repository-id <id>', description: 'all replicas of this repository', type: 'int' },
      { flags: VIRTUAL_STORAGE, description: 'all replicas of this virtual storage' },
      { flags: '--storage <name>', description: 'only the replicas of this node' },
    ],
    run: verify,
  },
];

async function dataloss(input: PraefectInput): Promise<undefined> {
  const only = optionText(input, 'virtual-storage');
  const names = only === '' ? input.config.virtualStorage.map(({ name }) => name).toSorted() : [only];
  const includePartial = isSet(input, 'partially-unavailable');
  await using connection = await connectToPraefect(input.config, 'error dialing');
  await connection.health.check({}).catch(failedCall('error checking')); // before any output
  for (const name of names) await printLosses(connection, input.print, { name, includePartial });
  return undefined;
}

async function printLosses(
  connection: Connection,
  print: Print,
  { includePartial, name }: { name: string; includePartial: boolean },
): Promise<void> {
  print(`Virtual storage: ${name}`);
  const stream = connection.praefectInfo.dataloss({
    virtualStorage: name,
    includePartiallyReplicated: includePartial,
  });
  let count = 0;
  try {
    for await (const { repositories } of stream) {
      if (repositories.length > 0) print('  Repositories:');
      for (const repository of repositories) printLoss(print, repository);
      count += repositories.length;
    }
  } catch (error) {
    failedCall('getting response')(error);
  }
  if (count > 0) return;
  print(
    includePartial
      ? '  All repositories are fully available on all assigned storages!'
      : '  All repositories are available!',
  );
}

/** A repository that Dataloss lists, with its replicas. */
interface Loss {
  readonly primary: string;
  readonly relativePath: string;
  readonly unavailable: boolean;
  readonly storages: readonly {
    readonly name: string;
    readonly behindBy: bigint;
    readonly assigned: boolean;
    readonly healthy: boolean;
  }[];
}

function printLoss(print: Print, { primary, relativePath, storages, unavailable }: Loss): void {
  print(`    ${relativePath}${unavailable ? ' (unavailable)' : ''}:`);
  print(`      Primary: ${primary === '' ? 'No Primary' : primary}`);
  const facts = ({ assigned, healthy }: { assigned: boolean; healthy: boolean }): string =>
    `${assigned ? ', assigned host' : ''}${healthy ? '' : ', unhealthy'}`;
  print('      In-Sync Storages:');
  for (const storage of storages)
    if (storage.behindBy === 0n) print(`        ${storage.name}${facts(storage)}`);
  print('      Outdated Storages:');
  for (const storage of storages) {
    const { behindBy, name } = storage;
    if (behindBy === 0n) continue;
    const changes = `${behindBy} change${behindBy > 1n ? 's' : ''}`;
    print(`        ${name} is behind by ${changes} or less${facts(storage)}`);
  }
}

async function metadata(input: PraefectInput): Promise<undefined> {
  const { print } = input;
  const repositoryId = idOf(input);
  const virtualStorage = optionText(input, 'virtual-storage');
  const relativePath = optionText(input, 'relative-path');
  const hasPath = virtualStorage !== '' || relativePath !== '';
  if (repositoryId !== 0n && hasPath)
    throw new Error("virtual storage and relative path can't be provided with a repository ID");
  if (repositoryId === 0n && !hasPath)
    throw new Error('repository ID or virtual storage and relative path required');
  if (hasPath && virtualStorage === '') throw new Error('virtual storage is required with relative path');
  if (hasPath && relativePath === '') throw new Error('relative path is required with virtual storage');
  await using connection = await connectToPraefect(input.config, 'dial');
  const found = await connection.praefectInfo
    .getRepositoryMetadata({
      query: hasPath
        ? { case: 'path', value: { virtualStorage, relativePath } }
        : { case: 'repositoryId', value: repositoryId },
    })
    .catch(failedCall('get metadata'));
  print(`Repository ID: ${found.repositoryId}`);
  print(`Virtual Storage: ${quote(found.virtualStorage)}`);
  print(`Relative Path: ${quote(found.relativePath)}`);
  print(`Replica Path: ${quote(found.replicaPath)}`);
  print(`Primary: ${quote(found.primary)}`);
  print(`Generation: ${found.generation}`);
  print('Replicas:');
  for (const { assigned, generation, healthy, storage, validPrimary, verifiedAt } of found.replicas) {
    const behind = found.generation - generation;
    const state = behind > 0n ? `behind by ${behind} changes` : 'fully up to date';
    print(`- Storage: ${quote(storage)}`);
    print(`  Assigned: ${assigned}`);
    print(`  Generation: ${generation === -1n ? 'replica not yet created' : `${generation}, ${state}`}`);
    print(`  Healthy: ${healthy}`);
    print(`  Valid Primary: ${validPrimary}`);
    print(`  Verified At: ${verifiedAt === undefined ? 'unverified' : utc(verifiedAt)}`);
  }
  return undefined;
}

async function verify(input: PraefectInput): Promise<undefined> {
  const repositoryId = idOf(input);
  const virtualStorage = optionText(input, 'virtual-storage');
  const storage = optionText(input, 'storage');
  if (repositoryId !== 0n && (virtualStorage !== '' || storage !== ''))
    throw new Error("virtual storage and storage can't be provided with a repository ID");
  if (storage !== '' && virtualStorage === '') throw new Error('virtual storage must be passed with storage');
  if (repositoryId === 0n && virtualStorage === '')
    throw new Error('(repository id), (virtual storage) or (virtual storage, storage) required');
  await using connection = await connectToPraefect(input.config, 'dial');
  const ofStorage =
    storage === ''
      ? ({ case: 'virtualStorage', value: virtualStorage } as const)
      : ({ case: 'storage', value: { virtualStorage, storage } } as const);
  const { replicasMarked } = await connection.praefectInfo
    .markUnverified({
      selector: repositoryId === 0n ? ofStorage : { case: 'repositoryId', value: repositoryId },
    })
    .catch(failedCall('verify replicas'));
  input.print(`${replicasMarked} replicas marked unverified`);
  return undefined;
}

function idOf(input: PraefectInput): bigint {
  return BigInt(optionText(input, 'repository-id').replace(/^\+/, ''));
}

/** `2026-01-02 03:04:05.678 +0000 UTC` */
function utc({ nanos, seconds }: { seconds: bigint; nanos: number }): string {
  const time = new Date(Number(seconds) * 1000 + Math.floor(nanos / 1e6));
  return `${time.toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
}
