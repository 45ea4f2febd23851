import { type DescMessage, type MessageShape, toJson as toProtoJson } from '@bufbuild/protobuf';
import { toJson } from '#base/go/encoding/json';
import {
  type ClusterStatistics,
  type GetPartitionsResponse,
  GetPartitionsResponseSchema,
  type RaftClusterInfoResponse,
  RaftClusterInfoResponseSchema,
} from '#wire/gen/cluster_pb';
import { type Cell, styled, textTable } from './text-table.ts';

/** Returns the JSON of both cluster commands: keys sorted, two spaces of indentation. */
export function clusterJson(
  info: RaftClusterInfoResponse | undefined,
  partitions: readonly GetPartitionsResponse[],
): string {
  const json = {
    ...(info && { clusterInfo: plain(RaftClusterInfoResponseSchema, info) }),
    ...((info === undefined || partitions.length > 0) && {
      partitions: partitions.map((partition) => plain(GetPartitionsResponseSchema, partition)),
    }),
  };
  return `${toJson(json, 2)}\n`;
}

function plain<D extends DescMessage>(schema: D, message: MessageShape<D>): unknown {
  return sortedKeys(toProtoJson(schema, message));
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortedKeys(inner)]));
}

interface InfoOptions {
  /** `undefined` if they were not requested. */
  readonly partitions: readonly GetPartitionsResponse[] | undefined;
  readonly storage: string;
  readonly isColored: boolean;
}

/** Returns the text of `gitaly cluster info`. */
export function clusterText(info: RaftClusterInfoResponse, options: InfoOptions): string {
  const { partitions, storage, isColored } = options;
  const head = `${styled('=== Gitaly Cluster Information ===', 'bold', isColored)}\n\n`;
  const statistics = info.statistics === undefined ? '' : statisticsText(info.statistics, options);
  if (partitions === undefined) {
    const hint = 'Use --list-partitions to display partition overview table.';
    return `${head}${statistics}${styled(hint, 'cyan', isColored)}\n`;
  }
  if (partitions.length > 0) return head + statistics + overviewText(partitions, options);
  return head + statistics + (storage === '' ? '' : `No partitions found for storage: ${storage}\n`);
}

function statisticsText(of: ClusterStatistics, { storage, isColored }: InfoOptions): string {
  const title = (text: string): string => styled(text, 'bold', isColored);
  const number = (value: number): string => styled(String(value), 'cyan', isColored);
  const text = [
    `${title('=== Cluster Health Summary ===')}\n`,
    `  Partitions: ${healthText(of.healthyPartitions, of.totalPartitions, isColored)}`,
    `  Replicas: ${healthText(of.healthyReplicas, of.totalReplicas, isColored)}\n`,
    title('=== Cluster Statistics ==='),
    `  Total Partitions: ${number(of.totalPartitions)}`,
    `  Total Replicas: ${number(of.totalReplicas)}`,
    `  Healthy Partitions: ${number(of.healthyPartitions)}`,
    `  Healthy Replicas: ${number(of.healthyReplicas)}\n\n`,
  ].join('\n');
  const storages = Object.entries(of.storageStats).sort(([a], [b]) => (a < b ? -1 : 1));
  if (storages.length === 0) return text;
  const rows = storages
    .filter(([name]) => storage === '' || name === storage)
    .map(([name, { leaderCount, replicaCount }]) => [name, String(leaderCount), String(replicaCount)]);
  const table = headed(['STORAGE', 'LEADER COUNT', 'REPLICA COUNT'], rows, isColored);
  return `${text}${title('=== Per-Storage Statistics ===')}\n\n${table}\n`;
}

function healthText(healthy: number, total: number, isColored: boolean): string {
  const amount = `(${healthy}/${total})`;
  if (healthy === total && total > 0) return styled(`✓ Healthy ${amount}`, 'green', isColored);
  if (healthy === 0) return styled(`✗ Unhealthy ${amount}`, 'red', isColored);
  return styled(`⚠ Degraded ${amount}`, 'yellow', isColored);
}

const OVERVIEW = [
  'PARTITION KEY',
  'LEADER',
  'REPLICAS',
  'HEALTH',
  'LAST INDEX',
  'MATCH INDEX',
  'REPOSITORIES',
];

function overviewText(
  partitions: readonly GetPartitionsResponse[],
  { storage, isColored }: InfoOptions,
): string {
  const rows = partitions.map(({ partitionKey, replicas, relativePaths }): Cell[] => {
    const leader = replicas.find(({ isLeader }) => isLeader);
    const names = replicas.map(({ replicaId }) => replicaId?.storageName ?? '');
    const filtered = storage === '' ? [] : names.filter((name) => name === storage);
    const healthy = replicas.filter(({ isHealthy }) => isHealthy).length;
    const style = healthy === 0 ? 'red' : healthy === replicas.length ? 'green' : 'yellow';
    return [
      partitionKey?.value ?? '',
      leader === undefined ? 'None' : { text: leader.replicaId?.storageName ?? '', style: 'cyan' },
      names.join(', ') + (filtered.length === 0 ? '' : ` (filtered: ${filtered.join(', ')})`),
      { text: `${healthy}/${replicas.length}`, style },
      leader === undefined ? 'N/A' : String(leader.lastIndex),
      leader === undefined ? 'N/A' : String(leader.matchIndex),
      `${relativePaths.length} repos`,
    ];
  });
  const title = styled('=== Partition Overview ===', 'bold', isColored);
  return `${title}\n\n${headed(OVERVIEW, rows, isColored)}`;
}

/** Returns the text of `gitaly cluster get-partition`. */
export function partitionsText(
  partitions: readonly GetPartitionsResponse[],
  options: { readonly partitionKey: string; readonly relativePath: string; readonly isColored: boolean },
): string {
  const { partitionKey, relativePath, isColored } = options;
  if (partitions.length === 0) return 'No partitions found matching the specified criteria.\n';
  const title =
    relativePath === ''
      ? `=== Partition Details for Key: ${partitionKey} ===`
      : `=== Partition Details for Repository: ${relativePath} ===`;
  const details = partitions.map((partition) => partitionText(partition, isColored));
  return `${styled(title, 'bold', isColored)}\n\n${details.join('\n')}`;
}

function partitionText(partition: GetPartitionsResponse, isColored: boolean): string {
  const { partitionKey, replicas, relativePaths } = partition;
  const rows = replicas.map(({ replicaId, isLeader, isHealthy, lastIndex, matchIndex }): Cell[] => [
    replicaId?.storageName ?? '',
    isLeader ? { text: 'Leader', style: 'cyan' } : 'Follower',
    isHealthy ? { text: 'Healthy', style: 'green' } : { text: 'Unhealthy', style: 'red' },
    String(lastIndex),
    String(matchIndex),
  ]);
  const titles = ['STORAGE', 'ROLE', 'HEALTH', 'LAST INDEX', 'MATCH INDEX'];
  const table = rows.length === 0 ? '' : `${headed(titles, rows, isColored)}\n`;
  const paths = relativePaths.map((path) => [path]);
  const repositories =
    paths.length === 0
      ? ''
      : `${styled('Repositories:', 'bold', isColored)}\n\n${headed(['REPOSITORY PATH'], paths, isColored)}`;
  const key = styled(partitionKey?.value ?? '', 'cyan', isColored);
  return `Partition: ${key}\n\n${table}${repositories}`;
}

/** Returns a table with underlined titles. */
function headed(titles: readonly string[], rows: readonly (readonly Cell[])[], isColored: boolean): string {
  return textTable([titles, titles.map((title) => '-'.repeat(title.length)), ...rows], isColored);
}
