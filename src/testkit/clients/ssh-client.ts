import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GIT_ENVIRONMENT } from '../repositories/run-git.ts';
import { run } from '../run-program.ts';

/** Reason to skip tests with OpenSSH's client; `false` if they run. */
export const NO_OPENSSH: string | false =
  spawnSync('ssh', ['-V']).error === undefined ? false : 'there is no ssh on this machine';

/** A key pair in files, in the format of `ssh-keygen`. */
export interface SshKeyFile {
  readonly path: string;
  /** The line of the public key: type, base64, comment. */
  readonly line: string;
}

/**
 * Creates a key pair without a passphrase. @param options arguments of `ssh-keygen`; default an
 * Ed25519 key.
 */
export async function makeSshKey(
  path: string,
  comment: string,
  options = ['-t', 'ed25519'],
): Promise<SshKeyFile> {
  const { code, stderr } = await run('ssh-keygen', ['-q', '-N', '', '-C', comment, '-f', path, ...options]);
  if (code !== 0) throw new Error(`ssh-keygen failed: ${stderr}`);
  return { path, line: readFileSync(`${path}.pub`, 'utf8').trim() };
}

export interface SshClientOptions {
  /** Directory for the list of known hosts. */
  readonly directory: string;
  readonly gateway: { readonly host: string; readonly port: number };
  /** Path of the gateway's private host key. The client refuses any other. */
  readonly hostKeyPath: string;
  /** Path of the client's private key; without it the client has none. */
  readonly key?: string;
}

/**
 * Returns arguments of `ssh` that ignore the configuration of this machine and its user, and that
 * know the host.
 */
export async function sshArguments({
  directory,
  gateway,
  hostKeyPath,
  key,
}: SshClientOptions): Promise<string[]> {
  const knownHosts = join(directory, `known-hosts-${gateway.port}`);
  const { stdout } = await run('ssh-keygen', ['-y', '-f', hostKeyPath]);
  writeFileSync(knownHosts, `[${gateway.host}]:${gateway.port} ${stdout}`);
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    `IdentityFile=${key ?? 'none'}`,
    'LogLevel=ERROR',
  ];
  return ['-F', 'none', ...options.flatMap((option) => ['-o', option])];
}

/** Returns the environment of a git that uses `ssh` with these arguments. */
export function gitOverSsh(args: readonly string[]): Record<string, string | undefined> {
  return { ...GIT_ENVIRONMENT, GIT_SSH_COMMAND: ['ssh', ...args].join(' '), GIT_SSH_VARIANT: 'ssh' };
}
