import { create } from '@bufbuild/protobuf';
import { quote } from '#base/go/quote';
import type { Connection } from '#client/connection';
import {
  type GetPartitionsRequest,
  GetPartitionsRequestSchema,
  type GetPartitionsResponse,
} from '#wire/gen/cluster_pb';
import { clusterJson, clusterText, partitionsText } from './cluster-output.ts';
import { dialServer, readConfiguration } from './configured-server.ts';
import { type CommandStreams, runCommand, withHeading } from './run-command.ts';

export interface ClusterOptions {
  readonly config: string;
  /** `text` or `json`. */
  readonly format: string;
  /** False for text without colours. */
  readonly color: boolean;
}

/** Runs `gitaly cluster info`: statistics of a Raft cluster. Resolves to the exit code. */
export function clusterInfo(
  options: ClusterOptions & { readonly storage?: string; readonly listPartitions?: boolean },
  streams: CommandStreams,
): Promise<number> {
  return runCommand(streams, async () => {
    checkFormat(options.format);
    const { storage = '', listPartitions = false } = options;
    const config = await readConfiguration(options.config);
    await using connection = await dialServer(config, 'establish gRPC connection');
    const info = await withHeading(
      'failed to retrieve cluster information - verify server is running and Raft is enabled',
      connection.raft.getClusterInfo({}),
    );
    const partitions =
      listPartitions || storage !== '' ? await partitionsOf(connection, { storage }) : undefined;
    const isColored = options.color && streams.stdout.isTTY === true;
    streams.stdout.write(
      options.format === 'json'
        ? clusterJson(info, partitions ?? [])
        : clusterText(info, { partitions, storage, isColored }),
    );
    return 0;
  });
}

/** Runs `gitaly cluster get-partition`: the replicas of a partition. Resolves to the exit code. */
export function partitionDetails(
  options: ClusterOptions & { readonly partitionKey?: string; readonly relativePath?: string },
  streams: CommandStreams,
): Promise<number> {
  return runCommand(streams, async () => {
    checkFormat(options.format);
    const { partitionKey = '', relativePath = '' } = options;
    if (partitionKey === '' && relativePath === '')
      throw new Error('either --partition-key or --relative-path must be provided');
    if (partitionKey !== '' && relativePath !== '')
      throw new Error('--partition-key and --relative-path cannot be used together');
    if (partitionKey !== '' && !/^[a-fA-F0-9]{64}$/.test(partitionKey))
      throw new Error(
        `invalid partition key format: expected 64-character SHA256 hex string, got ${quote(partitionKey)}`,
      );
    const config = await readConfiguration(options.config);
    await using connection = await dialServer(config, 'establish gRPC connection');
    const partitions = await partitionsOf(connection, {
      relativePath,
      ...(partitionKey !== '' && { partitionKey: { value: partitionKey } }),
    });
    const isColored = options.color && streams.stdout.isTTY === true;
    streams.stdout.write(
      options.format === 'json'
        ? clusterJson(undefined, partitions)
        : partitionsText(partitions, { partitionKey, relativePath, isColored }),
    );
    return 0;
  });
}

function checkFormat(format: string): void {
  if (format !== 'text' && format !== 'json')
    throw new Error(`invalid format ${quote(format)}: must be 'text' or 'json'`);
}

/** Returns partitions in order of their keys. */
async function partitionsOf(
  { raft }: Connection,
  filter: Parameters<typeof create<typeof GetPartitionsRequestSchema>>[1],
): Promise<GetPartitionsResponse[]> {
  const request: GetPartitionsRequest = create(GetPartitionsRequestSchema, {
    ...filter,
    includeRelativePaths: true,
    includeReplicaDetails: true,
  });
  const partitions = await withHeading(
    'failed to receive partition data from stream',
    Array.fromAsync(raft.getPartitions(request)),
  );
  const partitionKeyText = ({ partitionKey }: GetPartitionsResponse): string => partitionKey?.value ?? '';
  return partitions.sort((a, b) => (partitionKeyText(a) < partitionKeyText(b) ? -1 : 1));
}
