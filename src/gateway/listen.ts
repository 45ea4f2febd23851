import { once } from 'node:events';
import type { Server } from 'node:net';

/** Address to listen on. Port 0 selects a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Makes a server listen at an address.
 *
 * @param onError called for connections that cannot be accepted later (no descriptors left); they
 *   are lost, and the server continues.
 * @throws the system's error when it cannot listen at the address.
 */
export async function listen(
  server: Server,
  { host, port }: ListenAddress,
  onError: (error: unknown) => void,
): Promise<void> {
  await once(server.listen({ host, port }), 'listening');
  server.on('error', onError);
}
