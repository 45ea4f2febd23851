import { join } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { authorizedKeysFile, openSshDoor, type SshAccess, type SshDoor, storageMapping } from '#gateway/index';
import { AddressError, type HostAndPort, isLoopback, parseSshAddress } from './listen-address.ts';

/** What the command line says about the SSH door. */
export interface UpSshOptions {
  /** `HOST:PORT`; no door without it. */
  readonly ssh?: string | undefined;
  /** An authorized_keys file. Without one everybody on this machine is let in, and nobody else. */
  readonly sshKeys?: string | undefined;
}

export interface UpSsh {
  readonly listen: HostAndPort;
  readonly keys: string | undefined;
}

/** @throws {AddressError} for a wrong address, and for one that others reach without a word on who may come in. */
export function parseUpSsh({ ssh, sshKeys: keys }: UpSshOptions): UpSsh | undefined {
  if (ssh === undefined) {
    if (keys !== undefined) throw new AddressError('--ssh-keys is for the SSH door: add --ssh HOST:PORT');
    return undefined;
  }
  const listen = parseSshAddress(ssh);
  if (keys === undefined && !isLoopback(listen.host)) {
    throw new AddressError(
      `--ssh ${ssh}: others can reach this address, so say who may come in: --ssh-keys FILE with their public keys, ` +
        'for example --ssh-keys ~/.ssh/authorized_keys or --ssh-keys ~/.ssh/id_ed25519.pub',
    );
  }
  return { listen, keys };
}

/** Opens the SSH door of `gitaly-ts up`. Its host key is kept in the directory. */
export async function openUpSsh({ listen, keys }: UpSsh, up: UpSshParts): Promise<SshDoor> {
  return await openSshDoor({
    gitaly: { address: up.address },
    listen,
    mapping: storageMapping(up.storage),
    createOnPush: {},
    hostKeyPath: join(up.directory, 'ssh_host_ed25519_key'),
    access: await accessBy(keys),
    onFailure: (error) => process.stderr.write(`gitaly-ts: an SSH request failed: ${messageOf(error)}\n`),
  });
}

export interface UpSshParts {
  /** Of the Gitaly behind the door. */
  readonly address: string;
  readonly storage: string;
  readonly directory: string;
}

/** The lines about the door that `up` prints. */
export function describeSsh({ fingerprint, url }: SshDoor, { keys }: UpSsh): { address: string; clone: string } {
  const who = keys === undefined ? 'everybody on this machine is let in' : `whose key is in ${keys} is let in`;
  return {
    address: `  SSH   ${url}, host key ${fingerprint}; ${who}\n`,
    clone: `  git clone ${url}/hello.git\n`,
  };
}

async function accessBy(keys: string | undefined): Promise<SshAccess> {
  if (keys === undefined) return { everybody: { glId: 'user-1', username: 'git' } };
  const file = authorizedKeysFile(keys, {
    onUnused: ({ line, reason }) => process.stderr.write(`gitaly-ts: ${keys}:${line} lets nobody in: ${reason}\n`),
  });
  if ((await file.load()) === 0) process.stderr.write(`gitaly-ts: there is no key in ${keys}; add one, it counts at once\n`);
  return file;
}
