import { stat } from 'node:fs/promises';
import { messageWithHint } from '#base/gitaly-error';
import { type Connection, dial } from '#client/index';
import type { GitalyServer } from '#gitaly/index';
import { DirectoryInUseError, openUpDirectory, upSocket } from './up/up-directory.ts';

/** A server to work with, until it is disposed. */
export interface CommandTarget extends AsyncDisposable {
  readonly connection: Connection;
  /** Token with which the connection signs its calls. */
  readonly token?: string | undefined;
  /** The temporary server of a directory; `undefined` for a server that ran before. */
  readonly server?: GitalyServer;
}

/** The storage in a directory of `gitaly-ts up`. */
const STORAGE = 'default';
const CONNECT_LIMIT_MS = 10_000;

/**
 * Connects to a running server by its address. Given a directory of `gitaly-ts up`, it connects to
 * the server that runs there, or starts a temporary one. So there is only one server on a
 * directory, and every access uses it.
 */
export async function openTarget(target: string, token: string | undefined): Promise<CommandTarget> {
  if (isAddress(target)) return await connectTo(target, token);
  await using opening = new AsyncDisposableStack();
  const directory = await openUpDirectory(target).catch((error: unknown) => {
    if (error instanceof DirectoryInUseError) return undefined;
    throw error;
  });
  if (directory === undefined) return await connectTo(`unix:${await upSocket(target)}`, token);
  opening.use(directory);
  await refuseOfOthers(target);
  directory.describe('a gitaly-ts tool');
  // Imported here, because the server's code takes 10 MB, which a client of a running server does
  // not need.
  const { configFrom, createLogger, GitalyServer } = await import('#gitaly/index');
  const server = await GitalyServer.start({
    config: configFrom({
      socket_path: directory.socket,
      runtime_dir: directory.runtime,
      storage: [{ name: STORAGE, path: directory.repositories }],
    }),
    logger: createLogger({ format: 'text', level: 'error', stream: process.stderr }),
  });
  opening.use(server);
  const connection = opening.use(await dial(server.addresses.unix ?? server.addresses.internal));
  const kept = opening.move();
  return { connection, server, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Checks that files which a temporary server makes belong to the owner of the directory: what root
 * makes in a directory of another user cannot be read by that user's server.
 *
 * @throws {Error} if this process is of root, and the directory is not.
 */
async function refuseOfOthers(directory: string): Promise<void> {
  const { uid: owner } = await stat(directory);
  if (process.getuid?.() !== 0 || owner === 0) return;
  throw new Error(
    `${directory} belongs to the user with the id ${owner}, and files of root there cannot be read by ` +
      `that user's server: run the command as that user, for instance with: sudo -u '#${owner}'`,
  );
}

async function connectTo(address: string, token: string | undefined): Promise<CommandTarget> {
  const signal = AbortSignal.timeout(CONNECT_LIMIT_MS);
  const connection = await dial(address, {
    failOnNonTemporaryDialError: true,
    signal,
    ...(token && { token }),
  }).catch((error: unknown) => {
    const problem = `no connection to ${address}: ${messageWithHint(error)}`;
    throw new Error(`${problem} Or name another address or directory with --to.`, { cause: error });
  });
  return { connection, token, [Symbol.asyncDispose]: () => connection.close() };
}

/**
 * Reports whether the target is `unix:…`, `tcp://…`, `tls://…` or `dns:…`; everything else is a
 * directory.
 */
export function isAddress(target: string): boolean {
  return /^(unix:|tcp:\/\/|tls:\/\/|dns:|dns\+tls:)/.test(target);
}
