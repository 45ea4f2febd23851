import type { Server } from 'node:net';

/** Port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Lets a server listen.
 *
 * @param onError is told of connections that could not be taken later (no descriptors left): they are lost, the server goes on.
 * @throws the system's error when the address cannot be listened on.
 */
export async function listen(server: Server, { host, port }: ListenAddress, onError: (error: unknown) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  await promise;
  server.off('error', reject);
  server.on('error', onError);
}
