import type { Socket } from 'node:net';
import { checkNames, type NamesOf, namesIn } from '#base/check-names';
import { Acceptor } from '../acceptor.ts';
import type { AccessObserver } from '../access/access-record.ts';
import { type CreateOnPushOptions, RepositoryCreator } from '../create-on-push.ts';
import type { GatewayFamily, SharedGateway } from '../family.ts';
import { type GitalyAddress, linkGitaly } from '../gitaly-link.ts';
import type { ListenAddress } from '../listen.ts';
import type { RepositoryMapping } from '../repository-mapping.ts';
import type { SshAccess, SshAccessRequest } from './authentication.ts';
import { CommandRunner } from './command-runner.ts';
import { openHostKey } from './keys/host-key.ts';
import type { PeopleCommands } from './people-commands.ts';
import { SSH_CIPHERS, type SshCipher } from './ssh-ciphers.ts';
import { SshConnection, type SshConnectionOptions } from './ssh-connection.ts';
import { loadSshLibrary } from './ssh-library.ts';
import { SSH_LIMITS, type SshLimits } from './ssh-limits.ts';

export interface SshGatewayOptions {
  readonly gitaly: GitalyAddress;
  readonly listen: ListenAddress;
  readonly mapping: RepositoryMapping;
  /**
   * Path of the host's private key, which is generated if there is none. Clients remember the key,
   * so keep the file.
   */
  readonly hostKeyPath: string;
  readonly access: SshAccess;
  /**
   * Reports whether a user may do something; throws NOT_FOUND to hide the repository. Default:
   * everything is allowed.
   */
  readonly authorize?: (request: SshAccessRequest) => Promise<boolean> | boolean;
  /** Commands for people, besides those of git. Default: none. */
  readonly commands?: PeopleCommands;
  /** Creates a missing repository on push. Default: the push is refused. */
  readonly createOnPush?: CreateOnPushOptions | false;
  readonly limits?: Partial<SshLimits>;
  /**
   * Offered ciphers; the client chooses its favourite. A client with AES-GCM is offered only that,
   * if it is here. Default: AES in GCM and CTR mode.
   */
  readonly ciphers?: readonly SshCipher[];
  /** Called for everything that failed because of the server. */
  readonly onFailure?: (error: unknown) => void;
  /** Called at the end of each command, and of each connection whose logins were all refused. */
  readonly onAccess?: AccessObserver;
}

const LISTEN_NAMES: NamesOf<ListenAddress> = { host: true, port: true };
const CREATE_NAMES: NamesOf<CreateOnPushOptions> = { objectFormat: true };
const NAMES: NamesOf<SshGatewayOptions> = {
  gitaly: true, // may be a server of the test kit
  listen: LISTEN_NAMES,
  mapping: true,
  hostKeyPath: true,
  access: true,
  authorize: true,
  commands: true, // an object with functions
  createOnPush: CREATE_NAMES,
  limits: namesIn(SSH_LIMITS),
  ciphers: true,
  onFailure: true,
  onAccess: true,
};

/** A running gateway. */
export interface SshGateway extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `ssh://git@HOST:PORT` */
  readonly url: string;
  /** `SHA256:…` of the host key, which ssh shows at the first connection. */
  readonly fingerprint: string;
  /**
   * Accepts no new connections and commands, waits `graceMs` for running commands, and then closes
   * the remaining connections.
   */
  close(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Starts an SSH gateway in front of a Gitaly, only for `git clone`, `fetch`, `push` and `archive
 * --remote`. Like gitlab-shell it uses only Gitaly's RPCs.
 *
 * @throws the system's error when it cannot listen at the address (EADDRINUSE …) or create the host
 *   key; an Error that describes the problem of the host key. {TypeError} for an option that does
 *   not exist, with the nearest name.
 */
export async function startSshGateway(options: SshGatewayOptions): Promise<SshGateway> {
  checkNames('startSshGateway', options, NAMES);
  return await openSshGateway(options);
}

/**
 * Starts a gateway of a server that can have several processes.
 *
 * @throws as {@link startSshGateway}.
 */
export async function openSshGateway(
  options: SshGatewayOptions,
  family?: GatewayFamily,
): Promise<SshGateway & SharedGateway> {
  const { access, authorize, commands, createOnPush, gitaly, mapping, onAccess, onFailure } = options;
  const library = await loadSshLibrary();
  const { fingerprint, key: hostKey } = await openHostKey(options.hostKeyPath, library);
  // The default window: encryption is slower than git, so a larger one would only fill up. Buffers
  // that wait long are promoted to the old generation; with 1 MiB, full collections double the CPU
  // of a clone.
  const link = await linkGitaly(gitaly);
  await using opening = new AsyncDisposableStack();
  opening.use(link);
  const creator = createOnPush
    ? new RepositoryCreator(link.connection, createOnPush, family?.state.newRepositories)
    : undefined;
  const runner = new CommandRunner({ link, mapping, creator, authorize, onFailure });
  const limits = { ...SSH_LIMITS, ...options.limits };
  const { ciphers = SSH_CIPHERS } = options;
  const clients = new Clients({
    ...{ library, hostKey, access, limits, ciphers, runner, commands, onFailure, onAccess },
  });
  const acceptor = new Acceptor({
    limits,
    allowHalfOpen: false,
    serve: (socket) => clients.take(socket),
    refuse: (socket) =>
      socket.on('error', () => {}).end('Too many connections. Try again later.\r\n', () => socket.destroy()),
    sharing: family?.sharing,
  });
  const isWorker = family?.sharing.role === 'worker';
  const { host } = options.listen;
  const port = isWorker
    ? options.listen.port
    : await acceptor.listen(options.listen, onFailure ?? (() => {}));

  const resources = opening.move();
  const close = async ({ graceMs = 0 }: { graceMs?: number } = {}) => {
    const closed = acceptor.close();
    clients.drain();
    const cut = setTimeout(() => acceptor.destroy(), graceMs);
    await closed;
    clearTimeout(cut);
    await resources.disposeAsync();
  };
  return {
    host,
    port,
    url: `ssh://git@${host.includes(':') ? `[${host}]` : host}:${port}`,
    fingerprint,
    close,
    [Symbol.asyncDispose]: () => close(),
    receive: (socket) => acceptor.receive(socket),
    get connections() {
      return acceptor.connections;
    },
  };
}

/** All connections of a gateway. */
class Clients {
  readonly #parts: SshConnectionOptions;
  readonly #connections = new Set<SshConnection>();

  constructor(parts: SshConnectionOptions) {
    this.#parts = parts;
  }

  take(socket: Socket): void {
    const connection = new SshConnection(socket, this.#parts);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  drain(): void {
    for (const connection of this.#connections) connection.drain();
  }
}
