import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const ROOT = join(import.meta.dirname, '../..');
const COMMAND_LIMIT_MS = 120_000;

/** A page of the documentation, to be followed by a test. */
export class Page {
  readonly #text: string;

  constructor(path: string) {
    this.#text = readFileSync(join(ROOT, path), 'utf8');
  }

  /** Returns the code blocks below a heading, without their indentation. */
  blocks(heading: string, language: 'sh' | 'toml' | 'yaml'): string[] {
    const [, section = ''] = new RegExp(`^## ${heading}\n(.*?)(?=^## |$(?!\n))`, 'ms').exec(this.#text) ?? [];
    const found = [...section.matchAll(new RegExp(`^( *)\`\`\`${language}\n(.*?)^ *\`\`\`$`, 'gms'))];
    assert.ok(found.length > 0, heading);
    return found.map(([, indentation = '', text = '']) => withoutIndentation(text, indentation));
  }

  /** Returns all code blocks that name a language, from the top. */
  allBlocks(): { readonly language: string; readonly text: string }[] {
    return [...this.#text.matchAll(/^( *)```(\w+)\n(.*?)^ *```$/gms)].map(
      ([, indentation = '', language = '', text = '']) => ({
        language,
        text: withoutIndentation(text, indentation),
      }),
    );
  }
}

function withoutIndentation(text: string, indentation: string): string {
  return text.replaceAll(new RegExp(`^${indentation}`, 'gm'), '');
}

const PROGRAMS = [
  'gitaly',
  'gitaly-backup',
  'gitaly-ssh',
  'gitaly-ts',
  'gitaly-wrapper',
  'praefect',
] as const;

/** Directory, programs on PATH, and running servers of a reader of a page. */
export class Reader implements AsyncDisposable {
  readonly directory = makeScratchDirectory('docs');
  readonly #servers = new Map<string, { readonly kill: (signal?: NodeJS.Signals) => Promise<void> }>();
  readonly #programs: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #here: (directory: string) => Readonly<Record<string, string>>;
  readonly #shell: readonly [program: string, ...args: string[]];

  /**
   * @param here replacements for texts of the page, such as directories and ports.
   * @param user number of the user and group that follows the page; default: that of the test.
   */
  constructor(here: (directory: string) => Readonly<Record<string, string>>, user?: number) {
    this.#here = here;
    const asUser = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', '/bin/sh'];
    this.#shell = user === undefined ? ['/bin/sh'] : ['setpriv', ...asUser];
    if (user !== undefined) chownSync(this.directory, user, user);
    this.#programs = join(this.directory, 'bin');
    mkdirSync(this.#programs);
    for (const name of PROGRAMS) this.add(name, process.execPath, ...programCommand(name));
    this.#env = {
      ...process.env,
      PATH: `${this.#programs}${delimiter}${process.env.PATH}`,
      NODE_COMPILE_CACHE: join(ROOT, '.cache/compiled'),
    };
  }

  /** Puts a program on PATH. */
  add(name: string, ...command: readonly string[]): void {
    const path = join(this.#programs, name);
    writeFileSync(path, `#!/bin/sh\nexec ${command.map((word) => `'${word}'`).join(' ')} "$@"\n`);
    chmodSync(path, 0o755);
  }

  /** Says who the reader is, which git otherwise asks before a commit. */
  introduce(): void {
    const path = join(this.directory, 'gitconfig');
    writeFileSync(path, '[user]\nname = A Reader\nemail = reader@example.com\n');
    this.#env.GIT_CONFIG_GLOBAL = path;
  }

  /** Returns a text of the page as it is here. */
  here(text: string): string {
    let result = text;
    for (const [there, here] of Object.entries(this.#here(this.directory)))
      result = result.replaceAll(there, here);
    return result;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), this.here(text));
  }

  /** Returns what the servers have printed. */
  log(): string {
    return readFileSync(join(this.directory, 'log'), 'utf8');
  }

  /**
   * Follows a page, from its top to its end: writes the files whose names are the first lines of
   * its blocks, and runs the commands. Returns their output.
   *
   * @param without blocks that are left out.
   */
  async follow(page: Page, without?: RegExp): Promise<string> {
    let output = '';
    for (const { language, text } of page.allBlocks()) {
      const [, file] = /^# (\/.*)$/m.exec(text) ?? [];
      if (without?.test(text)) continue;
      if (language === 'sh') output += await this.type(text);
      else if (file !== undefined) writeFileSync(this.here(file), this.here(text));
    }
    return output;
  }

  /** Runs a block as a shell does; a line that ends in `&` is a server. Returns the output. */
  async type(block: string): Promise<string> {
    let output = '';
    for (const part of this.here(block).split(/^(.* &)\n/m)) {
      if (part.endsWith(' &')) this.#start(part.slice(0, -2));
      else if (part.trim() !== '') output += await this.#run(part);
    }
    return output;
  }

  async #run(script: string): Promise<string> {
    const [shell, ...args] = this.#shell;
    const { code, stderr, stdout } = await run(shell, [...args, '-ec', script], {
      cwd: this.directory,
      env: this.#env as Record<string, string>,
      timeoutMs: COMMAND_LIMIT_MS,
    });
    assert.equal(code, 0, `${script}\n${stdout}${stderr}`);
    return stdout;
  }

  /**
   * Starts a server; its command line is its name. It is killed with those that it has started: a
   * wrapper has a server, and an upgraded server the next one.
   */
  #start(command: string): void {
    const output = openSync(join(this.directory, 'log'), 'a');
    const [shell, ...args] = this.#shell;
    const child = spawn(shell, [...args, '-c', `exec ${command}`], {
      cwd: this.directory,
      detached: true,
      env: this.#env,
      stdio: ['ignore', output, output],
    });
    const exited = once(child, 'exit');
    this.#servers.set(command, {
      kill: async (signal) => {
        killGroup(child.pid, signal);
        await exited;
      },
    });
  }

  /** Ends the server with these words in its command line, at once or by a signal. */
  async lose(words: string, signal?: NodeJS.Signals): Promise<void> {
    for (const [command, server] of this.#servers) {
      if (!command.includes(words)) continue;
      this.#servers.delete(command);
      return await server.kill(signal);
    }
    assert.fail(`no server ${words}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) await server.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function killGroup(leader: number | undefined, signal: NodeJS.Signals = 'SIGKILL'): void {
  assert.ok(leader !== undefined);
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error;
  }
}
