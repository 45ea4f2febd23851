import { LINKED_FORK } from '#rpc/common/header-names';
import type { CallOptions } from '../call/call-types.ts';
import { gitalyServers } from '../gitaly-servers.ts';
import type { Place } from './place.ts';
import { shareLfs } from './settings.ts';
import { type TextOrBytes, toBytes } from './values.ts';

const HEADS = Buffer.from('refs/heads/');

export interface ForkOptions extends CallOptions {
  /** Only this branch, without `refs/heads/`. Default: all branches and tags. */
  readonly branch?: TextOrBytes;
  /**
   * Copies all objects. Default: the fork borrows them from a pool that it shares with the source,
   * where the server can do so.
   */
  readonly copy?: boolean;
  /** The server removes the fork after this time. */
  readonly lifetimeSeconds?: number;
  /** Also gives the fork the rules of this repository for pushes. */
  readonly rules?: boolean;
  /** Token of the server, with which it calls itself to copy. */
  readonly token?: string;
}

/** Creates a fork on the storage of its source (RPC CreateFork). */
export async function fork(
  { connection, repository }: Place,
  relativePath: string,
  { branch, copy = false, token, metadata, ...options }: ForkOptions,
): Promise<void> {
  const { storageName = '' } = repository;
  const server = { address: connection.address, ...(token !== undefined && { token }) };
  await connection.repository.createFork(
    {
      repository: { storageName, relativePath },
      sourceRepository: repository,
      revision: branch === undefined ? Buffer.alloc(0) : Buffer.concat([HEADS, toBytes(branch)]),
    },
    {
      ...options,
      metadata: {
        ...gitalyServers({ [storageName]: server }),
        ...(!copy && { [LINKED_FORK]: 'true' }),
        ...metadata,
      },
    },
  );
  await shareLfs({ connection, repository }, { storageName, relativePath }, options);
}
