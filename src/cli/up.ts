import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/system-error';
import { dial } from '#client/index';
import { type HttpDoor, type HttpDoorOptions, openHttpDoor, type SshDoor, storageMapping } from '#gateway/index';
import { configFrom, createLogger, GitalyServer } from '#gitaly/index';
import { listenForStop, type StopSignals } from '#platform/process/signals';
import { DoorArgumentError, type DoorArguments, doorOptions } from './door-options.ts';
import { AddressError, type GrpcAddress, isLoopback, parseGrpcAddress, parseHttpAddress } from './listen-address.ts';
import { makeSampleRepository } from './sample-repository.ts';
import { DirectoryInUseError, openUpDirectory, type UpDirectory } from './up-directory.ts';
import { describeSsh, openUpSsh, parseUpSsh, type UpSsh, type UpSshOptions } from './up-ssh.ts';

export interface UpOptions extends DoorArguments, UpSshOptions {
  readonly directory: string;
  /** `HOST:PORT`; without it 127.0.0.1:8080, or another port when that is taken. */
  readonly http?: string | undefined;
  /** `HOST:PORT` or `unix:PATH`; without it a socket in the directory. */
  readonly grpc?: string | undefined;
}

const DEFAULT_HTTP = '127.0.0.1:8080';
const STORAGE = 'default';
/** How long running clones and pushes may go on after Ctrl-C; a second Ctrl-C ends them at once. */
const GRACE_MS = 5000;

/** What to do about an address that cannot be listened on. */
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Choose another address: ports below 1024 may need a privilege.',
  EADDRINUSE: 'Choose another address, or stop what listens there.',
  EADDRNOTAVAIL: 'Choose an address of this machine, or 0.0.0.0 for all of them.',
  ENOTFOUND: 'Choose an address of this machine, or 0.0.0.0 for all of them.',
};

const README = `# hello

This repository was made by \`gitaly-ts up\`. Clone it, change it, push it back.
Pushing to a name that does not exist yet makes a new repository.
`;

/**
 * `gitaly-ts up`: a Git server and an HTTP door in front of it, without a configuration file, until a signal ends it.
 *
 * @returns the exit code: 0 after a stop, 1 when it cannot start, 2 for a wrong command line.
 */
export async function runUp(options: UpOptions): Promise<number> {
  process.title = 'gitaly-ts';
  using signals = listenForStop();
  try {
    const addresses: Addresses = {
      http: parseHttpAddress(options.http ?? DEFAULT_HTTP),
      mayMove: options.http === undefined,
      grpc: options.grpc === undefined ? {} : grpcAddress(options.grpc),
      ssh: parseUpSsh(options),
    };
    const door = await doorOptions(options);
    await using directory = await openUpDirectory(options.directory);
    await run({ ...addresses, door }, directory, signals);
    return 0;
  } catch (error) {
    process.stderr.write(`gitaly-ts up: ${explain(error)}\n`);
    return error instanceof AddressError || error instanceof DoorArgumentError ? 2 : 1;
  }
}

interface Addresses {
  readonly http: { readonly host: string; readonly port: number };
  /** Nobody asked for this port, so another one is as good. */
  readonly mayMove: boolean;
  readonly grpc: GrpcAddress | Record<never, never>;
  readonly ssh: UpSsh | undefined;
}

type Door = Awaited<ReturnType<typeof doorOptions>>;

async function run(
  { door: settings, grpc, http, mayMove, ssh }: Addresses & { door: Door },
  directory: UpDirectory,
  signals: StopSignals,
): Promise<void> {
  const config = configFrom({
    socket_path: directory.socket,
    runtime_dir: directory.runtime,
    storage: [{ name: STORAGE, path: directory.repositories }],
    ...grpc,
  });
  const logger = createLogger({ format: 'text', level: 'warn', stream: process.stderr });
  await using server = await GitalyServer.start({ config, logger });
  const address = server.addresses.unix ?? server.addresses.internal;
  await using door = await openDoor({ ...settings, gitaly: { address }, listen: http }, { mayMove });
  await using sshDoor = ssh && (await openUpSsh(ssh, { address, storage: STORAGE, directory: directory.path }));
  await makeHello(address);

  directory.describe(door.url);
  process.stdout.write(
    welcome({
      door,
      directory,
      grpc: [server.addresses.tcp, address],
      isOpen: settings.authenticator === undefined,
      ssh: sshDoor && ssh && describeSsh(sshDoor, ssh),
    }),
  );
  await aborted(signals.stop);
  process.stdout.write('\nStopping; Ctrl-C again stops at once.\n');
  const doors: readonly (HttpDoor | SshDoor | undefined)[] = [door, sshDoor];
  await Promise.race([Promise.all(doors.map((one) => one?.close({ graceMs: GRACE_MS }))), aborted(signals.force)]);
}

async function openDoor(given: Omit<HttpDoorOptions, 'mapping'>, { mayMove }: { mayMove: boolean }): Promise<HttpDoor> {
  const { listen } = given;
  const options: HttpDoorOptions = {
    ...given,
    mapping: storageMapping(STORAGE),
    createOnPush: {},
    onFailure: (error) => process.stderr.write(`gitaly-ts: a request failed: ${messageOf(error)}\n`),
  };
  try {
    return await openHttpDoor(options);
  } catch (error) {
    if (systemErrorCode(error) !== 'EADDRINUSE' || !mayMove) throw error;
    const door = await openHttpDoor({ ...options, listen: { ...listen, port: 0 } });
    process.stderr.write(`Port ${listen.port} is taken, using ${door.port}. Choose one yourself with --http HOST:PORT.\n`);
    return door;
  }
}

async function makeHello(address: string): Promise<void> {
  await using connection = await dial(address);
  await makeSampleRepository(connection, { storageName: STORAGE, relativePath: 'hello.git', glRepository: 'hello.git' }, README);
}

function welcome({
  door,
  directory,
  grpc,
  isOpen,
  ssh,
}: {
  door: HttpDoor;
  directory: UpDirectory;
  grpc: readonly (string | undefined)[];
  /** Nobody is asked who they are. */
  isOpen: boolean;
  ssh: { readonly address: string; readonly clone: string } | undefined;
}): string {
  const warning =
    isLoopback(door.host) || !isOpen
      ? ''
      : `\nEverybody who reaches ${door.host} can read and write all repositories: there is no authentication.\nTurn it on with --auth-file or --auth-url.\n`;
  return `
gitaly-ts is up.

  HTTP  ${door.url}
${ssh?.address ?? ''}  gRPC  ${grpc.filter((one) => one !== undefined).join(', ')}
  data  ${directory.path}
${warning}
  git clone ${door.url}/hello.git
${ssh?.clone ?? ''}  git push ${door.url}/any-new-name.git HEAD      # a push to a new name makes the repository

Ctrl-C stops it.
`;
}

function explain(error: unknown): string {
  if (error instanceof DirectoryInUseError) return `${error.message}. Stop it first, or name another directory.`;
  const message = messageOf(error);
  const advice = /^(?:listen|getaddrinfo) /.test(message) ? ADVICE[listenCodeOf(error) ?? ''] : undefined;
  return advice === undefined ? message : `${message}. ${advice}`;
}

/** The doors pass the system's error on, the server is told of it by an error of its own. */
function listenCodeOf(error: unknown): string | undefined {
  return systemErrorCode(error) ?? (error instanceof Error ? systemErrorCode(error.cause) : undefined);
}

/** @throws {AddressError} for a socket in a directory that is not there. */
function grpcAddress(text: string): GrpcAddress {
  const address = parseGrpcAddress(text);
  const directory = 'socket_path' in address ? dirname(address.socket_path) : undefined;
  if (directory !== undefined && !existsSync(directory)) {
    throw new AddressError(`--grpc ${text}: there is no directory ${directory}: make it, or choose another path`);
  }
  return address;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
