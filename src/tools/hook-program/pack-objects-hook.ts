import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeChunk } from '#base/copy-stream';
import { codeOf, messageOf } from '#base/gitaly-error';
import { stoppableChunks } from '#base/stoppable-chunks';
import { systemErrorCode } from '#base/system-error';
import { SIDECHANNEL_SOCKET } from '#rpc/common/header-names';
import { BAND, readSideBand } from '#rpc/common/side-band';
import { HookService } from '#wire/gen/hook_pb';
import { type HookCall, HookError } from './hook-call.ts';

const DIRECTORY_MODE = 0o700;
/** The server insists on this name. */
const SOCKET_NAME = 'sidechannel';
const CONNECT_LIMIT_MS = 5000;
const TOO_BUSY = 'error resource exhausted, please try again later';

/**
 * What upload-pack runs instead of `git pack-objects`: the server makes the pack, or has one ready. The bytes go over a socket that the
 * server connects to, not through the call.
 *
 * @throws {HookError}
 */
export async function packObjectsHook(call: HookCall): Promise<number> {
  const directory = await makeSocketDirectory(call.payload.runtimeDirectory).catch((error: unknown) => {
    throw new Error(`RPC failed: SetupSidechannel: ${messageOf(error)}`, { cause: error });
  });
  const server = createServer({ allowHalfOpen: true });
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
  { connection, payload, args, environmentVariables, io }: HookCall,
  path: string,
  server: Server,
  onAccept: () => Promise<void>,
): Promise<void> {
  const { repository, user } = payload;
  const exchanged = Promise.withResolvers<void>();
  exchanged.promise.catch(() => {}); // the call's own error comes first
  server.once('connection', (socket) => {
    server.close();
    exchanged.resolve(onAccept().then(() => exchange(socket, io)));
  });
  const request = {
    repository: { ...repository, gitAlternateObjectDirectories: [...(repository.gitAlternateObjectDirectories ?? [])] },
    environmentVariables,
    args: [...args],
    glId: user?.userId ?? '',
    glUsername: user?.username ?? '',
    gitProtocol: user?.protocol ?? '',
    remoteIp: user?.remoteIp ?? '',
  };
  try {
    await connection.client(HookService).packObjectsHookWithSidechannel(request, { metadata: { [SIDECHANNEL_SOCKET]: path } });
    const never = new Error('the server did not connect to the sidechannel');
    setTimeout(() => exchanged.reject(never), CONNECT_LIMIT_MS).unref(); // it has; its connection may be one event away
  } catch (error) {
    throw new HookError(`RPC failed: ${messageOf(error)}`, codeOf(error) === 'RESOURCE_EXHAUSTED' ? TOO_BUSY : '', error);
  }
  await exchanged.promise;
}

/** Sends standard input raw; what comes back is side-band packets, up to the end. */
async function exchange(socket: Socket, { stdin, stdout, stderr }: HookCall['io']): Promise<void> {
  const chunks = stoppableChunks(stdin);
  const sending = pipeline(chunks, socket, { end: true }).catch(() => {}); // a server that has read enough is no failure
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

/** In the runtime directory of the server, where there is one: its end of the socket must reach it. */
async function makeSocketDirectory(runtimeDirectory: string): Promise<string> {
  if (runtimeDirectory === '') return await mkdtemp(join(tmpdir(), 'gitaly'));
  const parent = join(runtimeDirectory, 'chan.d');
  await mkdir(parent, { mode: DIRECTORY_MODE }).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  });
  return await mkdtemp(join(parent, 'hook-'));
}
