import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { codeOf, messageOf, prefixed } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { BAND, readSideBand } from '#base/pkt-line/side-band';
import { writeChunk } from '#base/streams/copy-stream';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import { SIDECHANNEL_SOCKET } from '#rpc/common/header-names';
import { HookService } from '#wire/gen/hook_pb';
import { HookError, type HookRun } from './hook-run.ts';

const DIRECTORY_MODE = 0o700;
/** The server requires this name. */
const SOCKET_NAME = 'sidechannel';
const CONNECT_LIMIT_MS = 5000;
const TOO_BUSY = 'error resource exhausted, please try again later';

/**
 * Runs instead of `git pack-objects` in upload-pack: the server creates the pack, or has it cached.
 * The data is transferred over a socket to which the server connects, not through the call.
 *
 * @throws {HookError}
 */
export async function packObjectsHook(call: HookRun): Promise<number> {
  const directory = await makeSocketDirectory(call.payload.runtimeDirectory).catch(
    prefixed('RPC failed: SetupSidechannel'),
  );
  const server = createServer({ allowHalfOpen: true });
  server.on('error', () => {}); // the call fails without a connection
  try {
    const path = join(directory, SOCKET_NAME);
    server.listen(path);
    await once(server, 'listening');
    await ask(call, path, server, () => rm(directory, { recursive: true, force: true }));
    return 0;
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function ask(
  { connection, payload, args, environmentVariables, io }: HookRun,
  path: string,
  server: Server,
  onAccept: () => Promise<void>,
): Promise<void> {
  const { repository, user } = payload;
  const exchanged = Promise.withResolvers<void>();
  exchanged.promise.catch(() => {}); // the call's own error takes precedence
  server.once('connection', (socket) => {
    socket.on('error', () => {}); // whoever reads or writes learns of it
    server.close();
    exchanged.resolve(onAccept().then(() => exchange(socket, io)));
  });
  const request = {
    repository: {
      ...repository,
      gitAlternateObjectDirectories: [...(repository.gitAlternateObjectDirectories ?? [])],
    },
    environmentVariables,
    args: [...args],
    glId: user?.userId ?? '',
    glUsername: user?.username ?? '',
    gitProtocol: user?.protocol ?? '',
    remoteIp: user?.remoteIp ?? '',
  };
  try {
    await connection
      .client(HookService)
      .packObjectsHookWithSidechannel(request, { metadata: { [SIDECHANNEL_SOCKET]: path } });
    const never = new Error('the server did not connect to the sidechannel');
    // the server has connected; the event may still be pending
    setTimeout(() => exchanged.reject(never), CONNECT_LIMIT_MS).unref();
  } catch (error) {
    throw new HookError(
      `RPC failed: ${messageOf(error)}`,
      codeOf(error) === 'RESOURCE_EXHAUSTED' ? TOO_BUSY : '',
      error,
    );
  }
  await exchanged.promise;
}

/** Sends standard input unframed; reads side-band packets until the end. */
async function exchange(socket: Socket, { stdin, stdout, stderr }: HookRun['io']): Promise<void> {
  const chunks = stoppableChunks(stdin);
  // a server that has read enough is not a failure
  const sending = pipeline(chunks, socket, { end: true }).catch(() => {});
  try {
    for await (const { band, data } of readSideBand(socket)) {
      if (band !== BAND.stdout && band !== BAND.stderr) throw new Error(`unexpected band: ${band}`);
      await writeChunk(band === BAND.stdout ? stdout : stderr, data);
    }
  } finally {
    await chunks.return?.();
    socket.destroy();
    await sending;
  }
}

/**
 * Creates a directory for the socket, in the server's runtime directory if there is one, because
 * the server must be able to connect.
 */
async function makeSocketDirectory(runtimeDirectory: string): Promise<string> {
  if (runtimeDirectory === '') return await mkdtemp(join(tmpdir(), 'gitaly'));
  const parent = join(runtimeDirectory, 'chan.d');
  await mkdir(parent, { mode: DIRECTORY_MODE }).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  });
  return await mkdtemp(join(parent, 'hook-'));
}
