import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A proxy between a client and a server that simulates network failures. */
export interface StallingProxy extends AsyncDisposable {
  /** `tcp://127.0.0.1:<port>` */
  readonly address: string;
  /** Total number of accepted connections. */
  readonly accepted: number;
  /** Drops all further data of the open connections silently, like a lost network. */
  stall(): void;
  /** Closes the open connections. */
  cut(): void;
}

/**
 * Starts a proxy in front of a Unix socket (`unix:PATH`) or a port of this machine (`tcp://…`).
 */
export async function startStallingProxy(target: string): Promise<StallingProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let accepted = 0;
  const server = createServer((near) => {
    accepted++;
    const far = target.startsWith('unix:')
      ? connect({ path: target.slice('unix:'.length) })
      : connect({ host: '127.0.0.1', port: Number(new URL(target).port) });
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => {}); // the close notifies the other end
      socket.on('close', () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = server.address();
  const cut = () => {
    for (const [near] of pairs) near.destroy();
  };
  return {
    address: `tcp://127.0.0.1:${typeof place === 'object' ? place?.port : 0}`,
    get accepted() {
      return accepted;
    },
    stall: () => {
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
