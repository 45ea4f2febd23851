import { writeFile } from 'node:fs/promises';
import { wrap } from '#base/gitaly-error';
import type { ConfigPair } from '#git/command/config';
import type { Storage } from '#storage/repository-target';
import { createTempDirectory } from '#storage/temp-directories';
import { credentialSettings, NO_CREDENTIALS, type UserInfoUse } from './credentials.ts';
import { type PinnedUrl, pinAddress } from './pin-address.ts';
import { isHttp, parseRemoteUrl } from './remote-url.ts';

/** A remote of the outside world, as a client describes it. */
export interface OutgoingRemote {
  readonly url: string;
  /** Address to connect to instead of looking the host up; empty for none. */
  readonly resolvedAddress: string;
  /** Value of the Authorization header, sent with each request; empty for none. */
  readonly authorization: string;
  readonly userInfo: UserInfoUse;
  /** True if `url` may be a path or a `file://` URL. */
  readonly allowsLocal: boolean;
  readonly ssh?: SshCredentials | undefined;
}

/** Contents of files for ssh; empty for none. */
export interface SshCredentials {
  readonly key: string;
  readonly knownHosts: string;
}

/**
 * Settings for a git that reaches a remote; the URL is without user and password of HTTP. Disposing
 * removes the files with credentials.
 */
export interface Outgoing extends PinnedUrl, AsyncDisposable {}

const PROTOCOLS = 'http:https:git:ssh';
/** A server that sends less than a byte per second for this long has stalled. */
const STALLED_SECONDS = '300';
/**
 * Settings for servers that are not trusted. Bundle URIs are addresses of the server's choice, and
 * paths too: git would read them in spite of the pinned address.
 */
const SETTINGS: readonly ConfigPair[] = [
  { key: 'transfer.bundleURI', value: 'false' },
  { key: 'http.followRedirects', value: 'false' },
  { key: 'http.lowSpeedLimit', value: '1' },
  { key: 'http.lowSpeedTime', value: STALLED_SECONDS },
];
/**
 * ssh runs this program instead of prompting on a terminal; it returns nothing. It is not an option
 * of ssh: a program in its place finds the arguments that it gets from Gitaly. git has its own
 * setting.
 */
const NO_QUESTIONS = { SSH_ASKPASS: 'false', SSH_ASKPASS_REQUIRE: 'force' };
/** Words that mean the same to a shell without quotes. */
const PLAIN_WORD = /^[\w@%+=:,./-]+$/;
/** Only their owner reads them; ssh insists on it. */
const CREDENTIALS_MODE = 0o400;

/**
 * Checks a remote and prepares the settings for a git that reaches it: protocols by list, no
 * redirects, the pinned address, credentials in the environment or in files.
 *
 * @param storage for the files.
 * @throws {GitalyError} INVALID_ARGUMENT, INTERNAL, and without a code for a URL that is an option.
 */
export async function prepareOutgoing(remote: OutgoingRemote, storage: Storage): Promise<Outgoing> {
  const { url, userInfo } = parseRemoteUrl(remote.url);
  const credentials = isHttp(url) ? credentialSettings(url, userInfo, remote) : NO_CREDENTIALS;
  const pinned = pin(url, remote.resolvedAddress);
  const ssh = await sshSettings(remote.ssh, storage);
  return {
    url: pinned.url,
    config: [...SETTINGS, ...pinned.config, ...credentials.config],
    env: {
      ...pinned.env,
      ...credentials.env,
      ...ssh.env,
      ...(isHttp(url) ? {} : NO_QUESTIONS),
      GIT_ALLOW_PROTOCOL: remote.allowsLocal ? `${PROTOCOLS}:file` : PROTOCOLS,
    },
    [Symbol.asyncDispose]: ssh.remove,
  };
}

function pin(url: string, address: string) {
  try {
    return pinAddress(url, address);
  } catch (error) {
    throw wrap(error, "couldn't get curloptResolve config");
  }
}

async function sshSettings(ssh: SshCredentials | undefined, storage: Storage) {
  const { key = '', knownHosts = '' } = ssh ?? {};
  if (key === '' && knownHosts === '') {
    return { env: { GIT_SSH_COMMAND: 'ssh' }, remove: async () => {} };
  }
  const directory = await createTempDirectory(storage, 'ssh-');
  const remove = () => directory[Symbol.asyncDispose]();
  try {
    const words = ['ssh'];
    const add = async (name: string, content: string, options: (path: string) => string[]): Promise<void> => {
      if (content === '') return;
      const path = `${directory.path}/${name}`;
      await writeFile(path, content, { mode: CREDENTIALS_MODE, flag: 'wx' });
      words.push(...options(path));
    };
    await add('ssh-key', key, (path) => ['-oIdentitiesOnly=yes', shellQuote(`-oIdentityFile=${path}`)]);
    await add('known-hosts', knownHosts, (path) => [
      '-oStrictHostKeyChecking=yes',
      '-oCheckHostIP=no',
      shellQuote(`-oUserKnownHostsFile=${path}`),
    ]);
    return { env: { GIT_SSH_COMMAND: words.join(' ') }, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function shellQuote(word: string): string {
  return PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
