import type { Socket } from 'node:net';
import { GitalyError } from '#base/gitaly-error';
import { AccessEntry } from '../access/access-entry.ts';
import type { AccessObserver } from '../access/access-record.ts';
import type { Identity } from '../identity.ts';
import type { SshAccess } from './authentication.ts';
import type { ChannelSender } from './channel-output.ts';
import { clientCiphers } from './client-offer.ts';
import type { CommandRunner } from './command-runner.ts';
import { GitSession } from './git-session.ts';
import { fingerprintOf } from './keys/host-key.ts';
import { Login } from './login.ts';
import type { PeopleCommands } from './people-commands.ts';
import { hostKeysOf, SSH_ALGORITHMS } from './ssh-algorithms.ts';
import { cheapest, type SshCipher } from './ssh-ciphers.ts';
import { parseInTurns } from './ssh-input.ts';
import {
  IDENT,
  isExchangingKeys,
  packetsWaiting,
  type SshAuthRequest,
  type SshClient,
  type SshLibrary,
  type SshParsedKey,
  type SshSession,
} from './ssh-library.ts';
import type { SshLimits } from './ssh-limits.ts';

export interface SshConnectionOptions {
  readonly library: SshLibrary;
  readonly hostKey: SshParsedKey;
  readonly access: SshAccess;
  readonly limits: SshLimits;
  readonly ciphers: readonly SshCipher[];
  readonly runner: CommandRunner;
  readonly commands: PeopleCommands | undefined;
  readonly onFailure: ((error: unknown) => void) | undefined;
  /** Called at the end of each command, and of a connection whose logins were refused. */
  readonly onAccess: AccessObserver | undefined;
}

/**
 * Data waits for the socket above this size; this is the memory of a slow client beyond its window.
 */
const HIGH_WATER_BYTES = 256 << 10;
/**
 * Limit of unsent data. Protocol responses are sent without waiting, as is data that was written to
 * a channel before its window was full (a message of Gitaly for each session). A client that lets
 * more accumulate does not read.
 */
const MAX_UNSENT_BYTES = 1 << 20;
const MAX_UNSENT_BYTES_PER_SESSION = 256 << 10;
const MAX_PACKETS_WAITING = 4096;
/** Time for a disconnecting client to receive the rest. */
const DRAIN_MS = 2000;

/** One client: its login, its session channels, and their limits. */
export class SshConnection implements ChannelSender {
  readonly #options: SshConnectionOptions;
  readonly #socket: Socket;
  readonly #remoteAddress: string | undefined;
  readonly #sessions = new Set<GitSession>();
  readonly #grace: NodeJS.Timeout;
  readonly #idle: NodeJS.Timeout;
  #client: SshClient | undefined;
  #identity: Identity | undefined;
  /** The refused logins, until one succeeds. */
  #refused: AccessEntry | undefined;
  #isDraining = false;
  /** Resolves when a condition that senders wait for may have changed. */
  #change = Promise.withResolvers<void>();
  #exchangeLimit: NodeJS.Timeout | undefined;
  #last: NodeJS.Timeout | undefined;
  #isCorked = false;

  constructor(socket: Socket, options: SshConnectionOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#remoteAddress = socket.remoteAddress;
    const { idleTimeoutMs, keepAliveIntervalMs, loginGraceMs } = options.limits;
    this.#grace = setTimeout(() => this.destroy(), loginGraceMs);
    this.#idle = setTimeout(() => this.destroy(), Math.max(idleTimeoutMs, loginGraceMs));
    socket.setNoDelay(true);
    socket.on('error', () => {}); // `close` follows
    socket.on('drain', () => this.#changed());
    socket.once('close', () => this.#onClose());
    void this.#begin(keepAliveIntervalMs);
  }

  get hasCommands(): boolean {
    return [...this.#sessions].some((session) => session.isRunning);
  }

  /** Accepts no more commands; the connection ends with the running ones. */
  drain(): void {
    this.#isDraining = true;
    this.#endIfDrained();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  ready(): Promise<void> | undefined {
    return this.#isReady() ? undefined : this.#becomeReady();
  }

  batchWrites(send: () => void): void {
    this.#cork();
    send();
  }

  refreshIdleTimer(): void {
    this.#idle.refresh();
  }

  async #becomeReady(): Promise<void> {
    while (!this.#isReady()) {
      if (this.#socket.destroyed) throw new GitalyError('CANCELLED', 'the client disconnected');
      if (this.#isExchangingKeys())
        this.#exchangeLimit ??= setTimeout(() => this.destroy(), this.#options.limits.loginGraceMs);
      await this.#change.promise;
    }
  }

  #isReady(): boolean {
    return (
      this.#socket.writableLength <= HIGH_WATER_BYTES && !this.#isExchangingKeys() && !this.#socket.destroyed
    );
  }

  #isExchangingKeys(): boolean {
    return this.#client !== undefined && isExchangingKeys(this.#client);
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  /** Lets the library serve the socket, with the ciphers that are best for this client. */
  async #begin(keepaliveInterval: number): Promise<void> {
    const { ciphers, hostKey, library } = this.#options;
    const socket = this.#socket;
    const offer = await clientCiphers(socket);
    if (socket.destroyed) return;
    // Runs before the library's own listener, so that all its responses are sent in one write.
    socket.on('data', () => this.#onData());
    const config = {
      hostKeys: hostKeysOf(hostKey),
      algorithms: { ...SSH_ALGORITHMS, cipher: cheapest(ciphers, offer) },
      ident: IDENT,
      keepaliveInterval,
      keepaliveCountMax: 3,
    };
    new library.Server(config, (client) => this.#serve(client)).injectSocket(socket);
  }

  /** Checks the amount of unsent data, because the library responds without checking it. */
  #onData(): void {
    this.#cork();
    const isFlooded =
      this.#socket.writableLength >
        MAX_UNSENT_BYTES + this.#options.limits.maxSessions * MAX_UNSENT_BYTES_PER_SESSION ||
      (this.#client !== undefined && packetsWaiting(this.#client) > MAX_PACKETS_WAITING) ||
      [...this.#sessions].some((session) => session.isFlooded);
    if (isFlooded) this.destroy();
  }

  #serve(client: SshClient): void {
    this.#client = client;
    parseInTurns(client, this.#socket);
    const { access, library, limits, onFailure } = this.#options;
    const { maxAuthAttempts } = limits;
    const login = new Login({
      library,
      access,
      maxAuthAttempts,
      remoteAddress: this.#remoteAddress,
      onFailure,
    });
    client.on('error', () => this.#end()); // the library has sent the error to the client
    client.on('authentication', (request) => {
      this.#decide(login, request).catch((error) => {
        onFailure?.(error);
        this.destroy();
      });
    });
    client.on('ready', () => clearTimeout(this.#grace));
    client.on('handshake', () => {
      clearTimeout(this.#exchangeLimit);
      this.#exchangeLimit = undefined;
      this.#changed();
    });
    client.on('session', (accept, reject) => {
      if (this.#isDraining || this.#sessions.size >= limits.maxSessions || this.#identity === undefined)
        return reject();
      this.#open(accept(), this.#identity);
    });
  }

  #open(session: SshSession, identity: Identity): void {
    const { commands, onAccess, onFailure, runner } = this.#options;
    const opened: GitSession = new GitSession(session, {
      sender: this,
      runner,
      commands,
      identity,
      remoteAddress: this.#remoteAddress,
      onFailure,
      onAccess,
      onIdle: () => this.#endIfDrained(),
      onEnd: () => this.#sessions.delete(opened),
    });
    this.#sessions.add(opened);
    this.refreshIdleTimer();
  }

  async #decide(login: Login, request: SshAuthRequest): Promise<void> {
    const answer = await login.answer(request);
    if (answer === 'too many' || answer === 'refused') this.#noteRefusal(request);
    if (answer === 'too many') this.#end();
    else if (answer === 'refused') request.reject(login.methods);
    else if (answer === 'prove') request.accept();
    else {
      this.#identity = answer.identity;
      request.accept();
    }
  }

  #noteRefusal(request: SshAuthRequest): void {
    const { onAccess: observer } = this.#options;
    if (observer === undefined) return;
    this.#refused ??= new AccessEntry({ observer, transport: 'ssh', remoteAddress: this.#remoteAddress });
    if (request.method === 'publickey') this.#refused.offeredKey = fingerprintOf(request.key.data);
  }

  /** Reports a connection that ends without a login. Clients try several keys, so a refusal is none. */
  #reportRefusal(): void {
    if (this.#refused === undefined || this.#identity !== undefined) return;
    this.#refused.purpose = 'login';
    this.#refused.ended('refused', 'no accepted key or token');
    this.#refused.report();
  }

  #endIfDrained(): void {
    if (!this.#isDraining || this.hasCommands) return;
    this.#end();
  }

  /** Closes the connection after a short time for the client to read the rest. */
  #end(): void {
    this.#client?.end();
    this.#socket.destroySoon();
    this.#last ??= setTimeout(() => this.destroy(), DRAIN_MS);
  }

  #onClose(): void {
    clearTimeout(this.#grace);
    clearTimeout(this.#idle);
    clearTimeout(this.#exchangeLimit);
    clearTimeout(this.#last);
    for (const session of this.#sessions) session.abort();
    this.#reportRefusal();
    this.#changed();
  }
}
