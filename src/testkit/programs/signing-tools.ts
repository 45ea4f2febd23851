import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type RunProgramOptions, run } from '../run-program.ts';

/** Reasons to skip a test whose program is not installed; `false` if it is. */
export const NO_SSH_KEYGEN = !isOnPath('ssh-keygen') && 'needs ssh-keygen';
export const NO_GPG = !isOnPath('gpg') && 'needs gpg';

function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((directory) => existsSync(path.join(directory, program)));
}

/** OpenSSH for creating keys and verifying signatures, in a temporary directory. Dispose it. */
export class OpenSsh implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<OpenSsh> {
    return new OpenSsh(await mkdtemp(path.join(tmpdir(), 'openssh-')));
  }

  /**
   * Creates a key pair and returns the path of the private key; the public one is next to it,
   * `.pub`.
   */
  async makeKey(name: string, options: readonly string[], passphrase = ''): Promise<string> {
    const file = path.join(this.directory, name);
    await succeed('ssh-keygen', ['-q', ...options, '-N', passphrase, '-C', '', '-f', file]);
    return file;
  }

  /**
   * Writes a file for git's `gpg.ssh.allowedSignersFile` that allows these keys for every
   * principal.
   */
  async allowedSigners(...keys: readonly string[]): Promise<string> {
    const file = path.join(this.directory, 'allowed-signers');
    const lines = await Promise.all(
      keys.map(async (key) => `* namespaces="git" ${await readFile(`${key}.pub`, 'utf8')}`),
    );
    await writeFile(file, lines.join(''));
    return file;
  }

  async verifies(key: string, text: Buffer, signature: Buffer): Promise<boolean> {
    const file = path.join(this.directory, 'signature');
    await writeFile(file, signature);
    const signers = await this.allowedSigners(key);
    const options = ['-f', signers, '-I', 'x@x', '-n', 'git', '-s', file];
    return (await run('ssh-keygen', ['-Y', 'verify', ...options], { input: text })).code === 0;
  }

  async sign(key: string, text: Buffer, options: readonly string[] = ['-n', 'git']): Promise<Buffer> {
    return Buffer.from(await succeed('ssh-keygen', ['-Y', 'sign', '-f', key, ...options], { input: text }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface MakeKeyOptions {
  readonly algorithm?: string;
  readonly use?: string;
  readonly passphrase?: string;
  readonly madeOn?: string;
  readonly expires?: string;
}

/**
 * GnuPG for creating keys and verifying signatures, with its own key ring. Dispose it: it has a
 * running agent.
 */
export class GnuPg implements AsyncDisposable {
  /** Value for `GNUPGHOME`. */
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<GnuPg> {
    const directory = await mkdtemp(path.join(tmpdir(), 'gnupg-'));
    await chmod(directory, 0o700);
    // otherwise passphrases take seconds
    await writeFile(path.join(directory, 'gpg-agent.conf'), 's2k-count 65536\n');
    return new GnuPg(directory);
  }

  /** Runs gpg. @returns its standard output, as Latin-1. @throws {Error} with its error output. */
  async run(args: readonly string[], options: RunProgramOptions = {}): Promise<string> {
    const batch = [
      '--batch',
      '--quiet',
      '--no-tty',
      '--trust-model',
      'always',
      '--pinentry-mode',
      'loopback',
    ];
    return await succeed('gpg', [...batch, ...args], {
      ...options,
      env: { GNUPGHOME: this.directory, LC_ALL: 'C' },
    });
  }

  /**
   * Creates a key of a user id, by default for signing; `madeOn` is a date like `20200101`,
   * `expires` a time like `1y`.
   */
  async makeKey(userId: string, options: MakeKeyOptions = {}): Promise<void> {
    const { algorithm = 'ed25519', use = 'sign', passphrase = '', madeOn, expires = 'never' } = options;
    const clock = madeOn === undefined ? [] : ['--faked-system-time', `${madeOn}T000000!`];
    await this.run([
      ...clock,
      '--passphrase',
      passphrase,
      '--quick-gen-key',
      userId,
      algorithm,
      use,
      expires,
    ]);
  }

  async addSubkey(userId: string, algorithm: string, use: string): Promise<void> {
    const fingerprints = await this.run(['--with-colons', '--list-keys', userId]);
    const primary = /^fpr:+([0-9A-F]+):/m.exec(fingerprints)?.[1] ?? '';
    await this.run(['--passphrase', '', '--quick-add-key', primary, algorithm, use, 'never']);
  }

  /** Exports the secret key to a file and returns its path. */
  async exportKey(
    userId: string,
    options: readonly string[] = ['--armor'],
    what: 'keys' | 'subkeys' = 'keys',
  ): Promise<string> {
    const file = path.join(this.directory, `exported-${userId}`);
    await this.run([
      '--yes',
      '--passphrase',
      '',
      ...options,
      '--output',
      file,
      `--export-secret-${what}`,
      userId,
    ]);
    return file;
  }

  async verifies(text: Buffer, signature: Buffer): Promise<boolean> {
    const files = await this.#write({ text, signature });
    return await this.run(['--verify', files.signature, files.text]).then(
      () => true,
      () => false,
    );
  }

  async sign(userId: string, text: Buffer, options: readonly string[] = []): Promise<Buffer> {
    const files = await this.#write({ text });
    await this.run([
      '--yes',
      '--armor',
      '--local-user',
      userId,
      ...options,
      '--output',
      `${files.text}.asc`,
      '--detach-sign',
      files.text,
    ]);
    return await readFile(`${files.text}.asc`);
  }

  async #write<T extends Record<string, Buffer>>(contents: T): Promise<Record<keyof T, string>> {
    const files: [string, string][] = [];
    for (const [name, bytes] of Object.entries(contents)) {
      const file = path.join(this.directory, name);
      await writeFile(file, bytes);
      files.push([name, file]);
    }
    return Object.fromEntries(files) as Record<keyof T, string>; // it has the same keys
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('gpgconf', ['--kill', 'all'], { env: { GNUPGHOME: this.directory } });
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function succeed(
  program: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}
