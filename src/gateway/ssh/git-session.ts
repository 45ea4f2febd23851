import { codeOf, GitalyError } from '#base/gitaly-error';
import { AccessEntry } from '../access/access-entry.ts';
import type { AccessObserver } from '../access/access-record.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { Identity } from '../identity.ts';
import { ChannelOutput, type ChannelSender } from './channel-output.ts';
import type { CommandRunner } from './command-runner.ts';
import { failureText, framed } from './failure-text.ts';
import { parseGitCommand } from './git-command.ts';
import { type PeopleCommands, wordsOfCommand } from './people-commands.ts';
import { type SshChannel, type SshSession, sendingSide } from './ssh-library.ts';

export interface GitSessionOptions {
  readonly sender: ChannelSender;
  readonly runner: CommandRunner;
  readonly commands: PeopleCommands | undefined;
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  /** Called when the command has ended. */
  readonly onIdle: () => void;
  /**
   * Called when both sides have closed the channel after a command. A session without a command
   * counts as long as the connection is open.
   */
  readonly onEnd: () => void;
  /** Called for every command that failed because of the server. */
  readonly onFailure: ((error: unknown) => void) | undefined;
  /** Called at the end of each command. */
  readonly onAccess: AccessObserver | undefined;
}

/**
 * Minimum packet size. Clients support at least this size (RFC 4253, 6.1: 32768); tiny packets
 * would cost more than their contents.
 */
const MIN_PACKET_BYTES = 1024;
/** Twice the window that the library grants: a client that sends more violates the protocol. */
const MAX_UNREAD_BYTES = 4 << 20;

const WRONG_USAGE = 2;
const NO_LONGER_VALID = 'Your key or token is no longer accepted. Log in again.';

/** Codes of failures that the client causes, which are not reported to the operator. */
const EXPECTED = new Set(['NOT_FOUND', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'CANCELLED']);

/** The user of a command, and its entry in the access log. */
interface CommandParts {
  readonly identity: Identity;
  readonly access: AccessEntry | undefined;
}

/** One session channel of a client, with at most one command and no other SSH feature. */
export class GitSession {
  readonly #options: GitSessionOptions;
  readonly #gone = new AbortController();
  #channel: SshChannel | undefined;
  #isRunning = false;
  #isClosed = false;
  #gitProtocol = '';

  constructor(session: SshSession, options: GitSessionOptions) {
    this.#options = options;
    session.on('env', (accept, reject, { key, val }) => {
      if (key !== 'GIT_PROTOCOL') return reject?.();
      this.#gitProtocol = gitProtocol(val);
      accept?.();
    });
    session.once('exec', (accept, _reject, { command }) => void this.#start(accept(), command));
    session.once('shell', (accept) => void this.#greet(accept()));
    session.on('close', () => {
      this.#isClosed = true;
      this.abort();
      this.#endIfDone();
    });
  }

  /** True if the client sent more than it was allowed to. */
  get isFlooded(): boolean {
    return (this.#channel?.readableLength ?? 0) > MAX_UNREAD_BYTES;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Ends git: the client has closed its side of the channel, or disconnected. */
  abort(): void {
    this.#gone.abort(new GitalyError('CANCELLED', 'the client disconnected'));
  }

  /**
   * Ends the session when both sides are closed. The library keeps the channel until the client has
   * closed its side too.
   */
  #endIfDone(): void {
    if (this.#channel !== undefined && this.#isClosed && !this.#isRunning) this.#options.onEnd();
  }

  /** Starts a command. @param channel undefined if the session has one already. */
  async #start(channel: SshChannel | undefined, text: string): Promise<void> {
    const { identity: loggedIn, onAccess: observer, remoteAddress } = this.#options;
    const access = observer && new AccessEntry({ observer, transport: 'ssh', remoteAddress });
    if (access !== undefined) access.identity = loggedIn;
    await this.#with(channel, async (output, stdin) => {
      const identity = loggedIn.renewed === undefined ? loggedIn : await loggedIn.renewed();
      if (identity === undefined) {
        if (access !== undefined) access.purpose = 'command';
        access?.ended('refused', NO_LONGER_VALID);
        return this.#say(output, NO_LONGER_VALID);
      }
      if (access !== undefined) access.identity = identity;
      const { commands } = this.#options;
      const [name = ''] = text.split(' ', 1);
      if (commands?.names.includes(name)) {
        if (access !== undefined) access.purpose = 'command';
        const code = await this.#serve(output, text, { commands, access, identity });
        if (code !== 0) access?.ended('failed', `the command ended with ${code}`);
        return code;
      }
      if (access !== undefined) output.onOutput = (data) => access.output(data);
      return await this.#run(text, output, { stdin, access, identity });
    });
    if (this.#gone.signal.aborted) access?.ended('aborted');
    access?.report();
  }

  async #run(
    text: string,
    output: ChannelOutput,
    { access, identity, stdin }: CommandParts & { readonly stdin: SshChannel },
  ): Promise<number> {
    const command = parseGitCommand(text, this.#options.commands?.names);
    if ('refusal' in command) {
      if (access !== undefined) access.purpose = 'command';
      access?.ended('refused', command.refusal);
      return this.#say(output, command.refusal);
    }
    if (access !== undefined) {
      access.purpose = command.service;
      access.repository = command.path;
    }
    const { remoteAddress, runner } = this.#options;
    const io = { stdin, stdout: output.stdout, stderr: output.stderr };
    const run = { command, identity, remoteAddress, gitProtocol: this.#gitProtocol, io, access };
    try {
      const exitCode = await runner.run({ ...run, signal: this.#gone.signal });
      if (exitCode !== 0) access?.exited(exitCode);
      return exitCode;
    } catch (error) {
      if (!this.#gone.signal.aborted) access?.threw(error);
      return this.#fail(output, error);
    }
  }

  /** Runs a command of a person. */
  async #serve(
    { stderr, stdout }: ChannelOutput,
    line: string,
    { access, commands, identity }: CommandParts & { readonly commands: PeopleCommands },
  ): Promise<number> {
    const { remoteAddress } = this.#options;
    const words = wordsOfCommand(line);
    if (words === undefined) {
      stderr.write("The command is too long, or a word needs quotes: put it between '.\n");
      return WRONG_USAGE;
    }
    const { signal } = this.#gone;
    const onError = (error: unknown): void => access?.threw(error);
    return await commands.run({ words, identity, remoteAddress, stdout, stderr, signal, onError });
  }

  /** Responds to a login without a command. */
  async #greet(channel: SshChannel | undefined): Promise<void> {
    const { commands, identity } = this.#options;
    await this.#with(channel, async (output) => {
      output.stdout.write(
        `You are logged in as ${identity.username}. This server has no shell; use git with the ` +
          'address of a repository.\n',
      );
      return commands === undefined
        ? 0
        : await this.#serve(output, '', { commands, access: undefined, identity });
    });
  }

  /** Runs a function on the channel, from its opening to its end with an exit code. */
  async #with(
    channel: SshChannel | undefined,
    work: (output: ChannelOutput, stdin: SshChannel) => Promise<number>,
  ): Promise<void> {
    if (channel === undefined) return;
    this.#channel = channel;
    this.#isRunning = true;
    channel.on('error', () => {}); // `close` of the session follows
    const onInput = () => this.#options.sender.refreshIdleTimer();
    channel.on('readable', onInput);
    const output = new ChannelOutput(channel, this.#options.sender);
    const { signal } = this.#gone;
    const onGone = () => output.destroy(signal.reason);
    signal.addEventListener('abort', onGone, { once: true });
    try {
      if (sendingSide(channel).packetSize < MIN_PACKET_BYTES) {
        channel.close();
        return;
      }
      const exitCode = await work(output, channel);
      channel.off('readable', onInput);
      await output.finish(exitCode);
    } catch (error) {
      if (!signal.aborted) this.#options.onFailure?.(error);
      channel.close();
    } finally {
      signal.removeEventListener('abort', onGone);
      this.#isRunning = false;
      this.#options.onIdle();
      this.#endIfDone();
    }
  }

  #say({ stderr }: ChannelOutput, text: string): number {
    stderr.write(framed(text));
    return 1;
  }

  /** Returns the exit code for a failed call. */
  #fail({ stderr }: ChannelOutput, error: unknown): number {
    if (this.#gone.signal.aborted) throw error;
    const text = failureText(error);
    if (text !== undefined) stderr.write(text);
    const exitCode = error instanceof GitalyError ? error.metadata.exitCode : undefined;
    if (typeof exitCode === 'number' && exitCode > 0) return exitCode; // git's own failure, reported by git
    if (!EXPECTED.has(codeOf(error) ?? '')) this.#options.onFailure?.(error);
    return 1;
  }
}
