import type { Duplex } from 'node:stream';
import type { PraefectConfig } from '../config/schema.ts';
import { GitalyNode, type NodeDialOptions, type NodesByStorage } from './gitaly-node.ts';

export class Nodes implements AsyncDisposable {
  readonly byStorage: NodesByStorage;

  private constructor(byStorage: NodesByStorage) {
    this.byStorage = byStorage;
  }

  /**
   * @param onReverse receives the streams on which nodes call us.
   */
  static async dial(
    { virtualStorage, yamux }: Pick<PraefectConfig, 'virtualStorage' | 'yamux'>,
    onReverse: (stream: Duplex) => void,
    options: Pick<NodeDialOptions, 'onTransfer' | 'interceptors'> = {},
  ): Promise<Nodes> {
    const dialOptions: NodeDialOptions = {
      ...options,
      maxStreamWindowBytes: yamux.maximumStreamWindowSizeBytes,
      acceptBacklog: yamux.acceptBacklog,
    };
    const entries = virtualStorage.map(async ({ name, node: nodes }) => {
      const dialed = nodes.map(({ storage, address, token }) =>
        GitalyNode.dial(
          { virtualStorage: name, storage, address, token: token?.reveal() },
          onReverse,
          dialOptions,
        ),
      );
      return [name, await Promise.all(dialed)] as const;
    });
    return new Nodes(new Map(await Promise.all(entries)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const nodes of this.byStorage.values()) for (const node of nodes) await node[Symbol.asyncDispose]();
  }
}
