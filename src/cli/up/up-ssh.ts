import { join } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { isLoopback } from '#base/go/net/host-port';
import type { HostAndPort } from '#client/connect/address';
import type { GatewayFamily, SharedGateway } from '#gateway/family';
import {
  authorizedKeysFile,
  type GitalyAddress,
  type SshAccess,
  type SshGateway,
  type SshGatewayOptions,
  storageMapping,
} from '#gateway/index';
import type { People } from '#gateway/people/people';
import { openSshGateway } from '#gateway/ssh/ssh-gateway';
import type { TokenVerifier } from '#tokens/token-verifier';
import { AddressError, parseSshAddress } from '../listen-address.ts';
import { sshCommands } from './ssh-commands.ts';
import type { SshLfs } from './up-lfs.ts';

/** Command line options of the SSH gateway. */
export interface UpSshOptions {
  /** `HOST:PORT`; no gateway without it. */
  readonly ssh?: string | undefined;
  /**
   * An authorized_keys file. Without one the gateway accepts everybody on this machine, and nobody
   * else.
   */
  readonly sshKeys?: string | undefined;
}

export interface UpSsh {
  readonly listen: HostAndPort;
  readonly keys: string | undefined;
  /** Checks tokens, which are passwords of any name. */
  readonly verifier: TokenVerifier | undefined;
  readonly people: People | undefined;
}

/**
 * Parses the options. @throws {AddressError} for an invalid address, and for a public address
 * without a file of keys and without tokens.
 */
export function parseUpSsh(
  { ssh, sshKeys: keys }: UpSshOptions,
  { people, verifier }: Pick<UpSsh, 'people' | 'verifier'>,
): UpSsh | undefined {
  if (ssh === undefined) {
    if (keys !== undefined)
      throw new AddressError('--ssh-keys requires the SSH gateway: add --ssh HOST:PORT');
    return undefined;
  }
  const listen = parseSshAddress(ssh);
  if ((keys ?? verifier ?? people) === undefined && !isLoopback(listen.host)) {
    throw new AddressError(
      `--ssh ${ssh}: other machines can reach this address, so the gateway needs a file of public ` +
        'keys: add --ssh-keys FILE, ' +
        'for example --ssh-keys ~/.ssh/authorized_keys or --ssh-keys ~/.ssh/id_ed25519.pub; or people: ' +
        'see gitaly-ts user add --help; or tokens: add --tokens',
    );
  }
  return { listen, keys, verifier, people };
}

/** Starts the SSH gateway of `gitaly-ts up`. Its host key is stored in the directory. */
export async function openUpSsh(
  { listen, keys, people, verifier }: UpSsh,
  { directory, family, lfs, onAccess, ...target }: StartUpSshOptions,
): Promise<SshGateway & SharedGateway> {
  const { storage, ...gitaly } = target;
  const options: SshGatewayOptions = {
    gitaly,
    listen,
    mapping: storageMapping(storage),
    createOnPush: {},
    hostKeyPath: join(directory, 'ssh_host_ed25519_key'),
    ...(people
      ? { access: accessOf(people, verifier), authorize: (request) => people.authorize(request) }
      : { access: await accessBy(keys, verifier) }),
    commands: sshCommands(target, keys === undefined ? 'admin' : 'write', lfs),
    ...(onAccess && { onAccess }),
    onFailure: (error) => process.stderr.write(`gitaly-ts: an SSH request failed: ${messageOf(error)}\n`),
  };
  return await openSshGateway(options, family);
}

/** The Gitaly behind a gateway, and its storage. */
export interface GatewayTarget extends GitalyAddress {
  readonly storage: string;
}

export interface StartUpSshOptions extends GatewayTarget {
  readonly directory: string;
  /** Where git-lfs finds the files of repositories. */
  readonly lfs: SshLfs;
  /** The processes of the server, if there can be several. */
  readonly family: GatewayFamily | undefined;
  readonly onAccess: SshGatewayOptions['onAccess'];
}

/** Returns what `up` reports about the gateway. */
export function describeSsh(
  { fingerprint, url }: SshGateway,
  { keys, people, verifier }: UpSsh,
): { url: string; fingerprint: string; users: string } {
  const accepted = [
    keys && `the keys in ${keys}`,
    people && `the keys of the people in ${people.path}`,
    verifier && 'tokens',
  ].filter(Boolean);
  const users =
    accepted.length === 0 ? 'accepts everybody on this machine' : `accepts ${accepted.join(' and ')}`;
  return { url, fingerprint, users };
}

function accessOf(people: People, tokens: TokenVerifier | undefined): SshAccess {
  return { authenticate: (login) => people.identityOf(login), ...(tokens && { tokens }) };
}

async function accessBy(keys: string | undefined, tokens: TokenVerifier | undefined): Promise<SshAccess> {
  if (keys === undefined)
    return tokens === undefined
      ? { everybody: { glId: 'user-1', username: 'git' } }
      : { authenticate: () => undefined, tokens };
  const file = authorizedKeysFile(keys, {
    onUnused: ({ line, reason }) =>
      process.stderr.write(`gitaly-ts: ${keys}:${line} is ignored: ${reason}\n`),
  });
  if ((await file.load()) === 0)
    process.stderr.write(`gitaly-ts: ${keys} contains no key. Add one; no restart is needed\n`);
  return { authenticate: file.authenticate, ...(tokens && { tokens }) };
}
