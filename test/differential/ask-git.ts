import { isUtf8 } from 'node:buffer';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { runBytes } from '#testkit/run-program';

/** Settings that the server uses for every git too: replace refs are ignored. */
const SETTINGS = [
  '-c',
  'core.useReplaceRefs=false',
  '-c',
  'core.autocrlf=false',
  '-c',
  'core.bigFileThreshold=50m',
];
/** Fixed dates, so that commits have the same ids in every run. */
const DATES = { GIT_AUTHOR_DATE: '1600000000 +0000', GIT_COMMITTER_DATE: '1600000000 +0000' };
const LIMIT_MS = 120_000;

/**
 * git failed. Newer versions abort in some cases, for instance for a branch without its object.
 */
export class GitFailed extends Error {
  /** Output before the failure. */
  readonly stdout: Buffer;

  constructor(message: string, stdout: Buffer) {
    super(message);
    this.stdout = stdout;
  }
}

/** The expected results: plain git on one repository, with one process per request. */
export class AskGit {
  readonly directory: string;
  /** The git whose mailmap is used. */
  readonly mailmap: AskGit;

  constructor(directory: string, { mailmap }: { readonly mailmap?: AskGit } = {}) {
    this.directory = directory;
    this.mailmap = mailmap ?? this;
  }

  /**
   * Returns git's output. Arguments may contain any bytes except NUL.
   *
   * @throws {GitFailed}
   */
  async output(args: readonly (string | Buffer)[], input?: string | Buffer): Promise<Buffer> {
    const bytes = args.map((arg) => Buffer.from(arg));
    if (bytes.every((arg) => isUtf8(arg)))
      return this.#run('git', [...SETTINGS, ...bytes.map(String)], input);
    // Node accepts arguments only as text.
    const list = Buffer.concat(
      [...SETTINGS.map((arg) => Buffer.from(arg)), ...bytes].flatMap((arg) => [arg, Buffer.of(0)]),
    );
    return this.#run('xargs', ['-0', 'git'], list);
  }

  /** Returns the lines of {@link output}. */
  async lines(args: readonly (string | Buffer)[], input?: string | Buffer): Promise<string[]> {
    return linesOf(await this.output(args, input));
  }

  /** Returns the {@link output} of a command, or its output before it failed. */
  async outputUntilItFails(args: readonly (string | Buffer)[]): Promise<Buffer> {
    return this.output(args).catch((error) => {
      if (error instanceof GitFailed) return error.stdout;
      throw error;
    });
  }

  /** Returns the items of a command's {@link output} that end with NUL. */
  async items(args: readonly (string | Buffer)[], input?: string | Buffer): Promise<Buffer[]> {
    return splitAt(await this.output(args, input), 0);
  }

  /** Returns {@link output} as one word. */
  async word(args: readonly (string | Buffer)[], input?: string | Buffer): Promise<string> {
    return (await this.output(args, input)).toString('latin1').trimEnd();
  }

  /** Returns the word, or nothing if git fails. */
  async wordIfAny(args: readonly (string | Buffer)[]): Promise<string | undefined> {
    return this.word(args).catch(ifFailed(undefined));
  }

  async succeeds(args: readonly (string | Buffer)[]): Promise<boolean> {
    return this.output(args).then(() => true, ifFailed(false));
  }

  async #run(program: string, args: readonly string[], input: string | Buffer | undefined): Promise<Buffer> {
    const env = { ...GIT_ENVIRONMENT, ...DATES, GIT_DIR: this.directory };
    const options = { cwd: this.directory, env, input, timeoutMs: LIMIT_MS };
    const { code, signal, stdout, stderr } = await runBytes(program, args, options);
    if (code === 0) return stdout;
    const command = `git ${args.join(' ')}`;
    if (signal !== null && signal !== 'SIGABRT') throw new Error(`${command}: ${signal}`);
    throw new GitFailed(`${command}: ${stderr.toString('latin1')}`, stdout);
  }
}

/** Returns a value if git fails; other errors are rethrown. */
export function ifFailed<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof GitFailed) return value;
    throw error;
  };
}

/** Returns the lines as text that keeps every byte. */
export function linesOf(output: Buffer): string[] {
  return output.toString('latin1').split('\n').slice(0, -1);
}

/** Returns the parts that end with the byte. */
export function splitAt(bytes: Buffer, end: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const at = bytes.indexOf(end, from);
    parts.push(bytes.subarray(from, at < 0 ? bytes.length : at));
    from = at < 0 ? bytes.length : at + 1;
  }
  return parts;
}
