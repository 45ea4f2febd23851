import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type CreateOnPushOptions, RepositoryCreator } from '../create-on-push.ts';
import { type GitalyAddress, linkGitaly } from '../gitaly-link.ts';
import { type ListenAddress, listen } from '../listen.ts';
import type { RepositoryMapping } from '../repository-mapping.ts';
import { Admission } from './admission.ts';
import type { SshAccess, SshAccessRequest } from './authentication.ts';
import { CommandRunner } from './command-runner.ts';
import { openHostKey } from './host-key.ts';
import { SSH_ALGORITHMS } from './ssh-algorithms.ts';
import { SshConnection, type SshConnectionParts } from './ssh-connection.ts';
import { loadSshLibrary } from './ssh-library.ts';
import { SSH_LIMITS, type SshLimits } from './ssh-limits.ts';

export interface SshDoorOptions {
  readonly gitaly: GitalyAddress;
  readonly listen: ListenAddress;
  readonly mapping: RepositoryMapping;
  /** Path of the private key of the host; made where there is none. Clients remember the key, so keep the file. */
  readonly hostKeyPath: string;
  readonly access: SshAccess;
  /** What those who are in may do. Default: everything. */
  readonly authorize?: (request: SshAccessRequest) => Promise<boolean> | boolean;
  /** A push to a repository that does not exist makes it. Default: it is refused. */
  readonly createOnPush?: CreateOnPushOptions | false;
  readonly limits?: Partial<SshLimits>;
  /** Ciphers that are offered; the client takes its favourite. Default: AES in GCM and CTR mode. */
  readonly ciphers?: readonly SshCipher[];
  /** Told of everything that failed for a reason on our side. */
  readonly onFailure?: (error: unknown) => void;
}

export type SshCipher =
  | 'aes128-gcm@openssh.com'
  | 'aes256-gcm@openssh.com'
  | 'chacha20-poly1305@openssh.com'
  | 'aes128-ctr'
  | 'aes192-ctr'
  | 'aes256-ctr';

/** A running door. */
export interface SshDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `ssh://git@HOST:PORT` */
  readonly url: string;
  /** `SHA256:…` of the host key, which ssh shows at the first connection. */
  readonly fingerprint: string;
  /** Takes no new connections and commands, waits `graceMs` for running commands, cuts what is left. */
  close(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Opens an SSH door in front of a Gitaly: `git clone`, `fetch`, `push` and `archive --remote`, and nothing else. Like gitlab-shell it
 * knows Gitaly by its RPCs only.
 *
 * @throws the system's error when the address cannot be listened on (EADDRINUSE …) or the host key cannot be made; an Error that says
 *   what is wrong with the host key.
 */
export async function openSshDoor(options: SshDoorOptions): Promise<SshDoor> {
  const { access, authorize, createOnPush, gitaly, mapping, onFailure } = options;
  const library = await loadSshLibrary();
  const { fingerprint, key: hostKey } = await openHostKey(options.hostKeyPath, library);
  // The default window: encrypting is slower than git, so a larger one would only fill. Buffers that wait so long grow old, and with 1 MiB
  // full collections double the CPU of a clone.
  const link = await linkGitaly(gitaly);
  const creator = createOnPush ? new RepositoryCreator(link.connection, createOnPush) : undefined;
  const runner = new CommandRunner({ link, mapping, creator, authorize, onFailure });
  const limits = { ...SSH_LIMITS, ...options.limits };
  const algorithms = { ...SSH_ALGORITHMS, ...(options.ciphers && { cipher: [...options.ciphers] }) };
  const clients = new Clients({ library, hostKey, access, limits, algorithms, runner, onFailure });
  const server = createServer((socket) => clients.take(socket));
  try {
    await listen(server, options.listen, onFailure ?? (() => {}));
  } catch (error) {
    await link.connection.close();
    throw error;
  }

  // A TCP server that listens has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const { host } = options.listen;
  const close = async ({ graceMs = 0 }: { graceMs?: number } = {}) => {
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    clients.drain();
    const cut = setTimeout(() => clients.destroy(), graceMs);
    await closed.promise;
    clearTimeout(cut);
    await link.connection.close();
  };
  const url = `ssh://git@${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { host, port, url, fingerprint, close, [Symbol.asyncDispose]: () => close() };
}

/** All connections of a door. */
class Clients {
  readonly #parts: SshConnectionParts;
  readonly #admission: Admission;
  readonly #connections = new Set<SshConnection>();

  constructor(parts: SshConnectionParts) {
    this.#parts = parts;
    this.#admission = new Admission(parts.limits);
  }

  take(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    if (!this.#admission.enter(address)) {
      socket.on('error', () => {}).end('Too many connections. Try again later.\r\n', () => socket.destroy());
      return;
    }
    const connection = new SshConnection(socket, this.#parts);
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#admission.leave(address);
      this.#connections.delete(connection);
    });
  }

  drain(): void {
    for (const connection of this.#connections) connection.drain();
  }

  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}
