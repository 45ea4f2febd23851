import { type Duplex, PassThrough } from 'node:stream';
import { messageOf } from '#base/gitaly-error';
import { type Connection, receivePack } from '#client/index';
import type { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
import { describeExit } from '#git/command/process/exit-error';
import type { GitDirectory } from '#git/repository-files/git-directory';
import type { ImportDestination } from './destination.ts';
import { gitErrorText } from './git-error-text.ts';

export interface PushOptions {
  readonly git: Git;
  readonly source: GitDirectory;
  readonly connection: Connection;
  readonly destination: ImportDestination;
  /** `false` accepts objects that fail git's checks, as old repositories may have them. */
  readonly checkObjects: boolean;
  /** `false` if the caller packs the references, which flushes all of them at once. */
  readonly flushReferences: boolean;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** User of the push, for servers that require one. */
const PUSHER = { glId: 'user-1', glUsername: 'gitaly-ts' };

/**
 * Settings that override the source's configuration, so that the push runs no programs and uses no
 * other address.
 */
const SAFE_CONFIG = [
  { key: 'core.hooksPath', value: '/dev/null' },
  { key: 'push.gpgSign', value: 'false' },
  { key: 'push.recurseSubmodules', value: 'no' },
  { key: 'push.pushOption', value: '' },
];
const SAFE_ENVIRONMENT = { GIT_ALLOW_PROTOCOL: 'fd', GIT_NO_LAZY_FETCH: '1', GIT_NO_REPLACE_OBJECTS: '1' };

/**
 * Sends all references of a repository, including hidden ones, in one transaction. git uses an
 * inherited socket (`fd::3`), so it needs neither address nor token.
 *
 * @throws {Error} with a message for the user.
 */
export async function pushReferences({
  git,
  source,
  connection,
  destination,
  ...options
}: PushOptions): Promise<void> {
  const push = gitCommand('push', {
    options: [flag('--quiet'), flag('--atomic'), flag('--no-verify'), flag('--no-follow-tags')],
    args: ['fd::3', '+refs/*:refs/*'],
  });
  await using process = git.spawn(push, {
    repository: source,
    config: SAFE_CONFIG,
    env: SAFE_ENVIRONMENT,
    stdout: 'ignore',
    extraPipes: 1,
    signal: options.signal,
  });
  const [socket] = process.extra;
  if (socket === undefined) throw new Error('git was started without a socket');
  socket.allowHalfOpen = true; // git finishes sending before it has the response
  const failure = await serve(socket, connection, destination, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure === undefined) socket.end();
  else socket.destroy();
  const exit = await process.exited;
  options.signal.throwIfAborted();
  if (exit.code === 0 && failure === undefined) return;
  // A server that ended the call has the reason; git only sees the end of the connection.
  const words = [gitErrorText(process.stderr()), failure === undefined ? '' : messageOf(failure)];
  throw new Error(words.filter(Boolean).join('; ') || describeExit(exit), { cause: failure });
}

async function serve(
  socket: Duplex,
  connection: Connection,
  { repository }: ImportDestination,
  {
    checkObjects,
    flushReferences,
    onBytes,
    signal,
  }: Pick<PushOptions, 'checkObjects' | 'flushReferences' | 'onBytes' | 'signal'>,
): Promise<void> {
  const gitConfigOptions = ['receive.hideRefs=!refs', 'transfer.hideRefs=!refs'];
  if (!checkObjects) gitConfigOptions.push('receive.fsckObjects=false');
  if (!flushReferences) gitConfigOptions.push('core.fsync=objects,derived-metadata');
  const stderr = new PassThrough().resume(); // git passes on the messages for the user
  const request = { repository, ...PUSHER, glRepository: repository.glRepository, gitConfigOptions };
  await receivePack(connection, { stdin: counted(socket, onBytes), stdout: socket, stderr }, request, {
    signal,
  });
}

async function* counted(socket: Duplex, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  // The end of git's data must not close the other direction.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    onBytes(chunk.length);
    yield chunk;
  }
}
