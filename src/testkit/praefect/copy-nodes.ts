import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { standIn } from '../stand-in.ts';

/** A call that a copy makes: the node, the method, the request and the options. */
export type CopyCall = readonly [storage: string, method: string, request: unknown, options: unknown];

export interface CopyNodeOptions {
  readonly calls?: CopyCall[];
  readonly token?: string | undefined;
  /** Path of the pool of its repository. */
  readonly pool?: string | undefined;
  /** Result of its health checks; default true. */
  readonly isServing?: boolean;
  /** Functions that run in place of methods, by the methods' names. */
  readonly on?: Readonly<Record<string, () => Promise<void>>>;
}

/** A node for tests that copies nothing, and records its calls. */
export function copyNode(
  storage: string,
  { calls = [], isServing = true, on = {}, pool, token }: CopyNodeOptions = {},
) {
  const method =
    (name: string, response: object = {}) =>
    async (request: unknown, options: unknown): Promise<object> => {
      calls.push([storage, name, request, options]);
      await on[name]?.();
      return response;
    };
  return standIn<GitalyNode>({
    storage,
    config: { virtualStorage: 'default', storage, address: `tcp://${storage}:8075`, token },
    isServing: async () => isServing,
    connection: {
      repository: {
        replicateRepository: method('replicateRepository'),
        removeRepository: method('removeRepository'),
      },
      objectPool: {
        getObjectPool: method(
          'getObjectPool',
          pool === undefined ? {} : { objectPool: { repository: { relativePath: pool } } },
        ),
        disconnectGitAlternates: method('disconnectGitAlternates'),
        linkRepositoryToObjectPool: method('linkRepositoryToObjectPool'),
      },
    },
  });
}
