import { cpSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';

/** Ids in the target repository. */
export interface TargetIds {
  readonly main: string;
  readonly base: string;
  readonly topic: string;
  /** In conflict with `main` about `dir/file.txt`. */
  readonly rival: string;
  readonly tree: string;
  readonly blob: string;
  readonly otherBlob: string;
  readonly pointer: string;
  readonly tag: string;
}

/** Servers on loopback that valid requests name. */
export interface SandboxAddresses {
  /** `host:port` of a time server. */
  readonly timeServer: string;
  /** URL of a web server for the directory {@link Sandbox.web}. */
  readonly web: string;
}

/** Content of a file outside of all repositories; no response may contain it. */
export const SECRET = 'this-is-outside-of-every-repository';
/** Content of a file of a repository that no request names. */
export const OTHER_SECRET = 'this-is-in-another-repository';

const POINTER = `version https://git-lfs.github.com/spec/v1
oid sha256:${'1'.repeat(64)}
size 42
`;
const MODULES = '[submodule "module"]\n\tpath = module\n\turl = ../other.git\n';

/** The target repository, for `git fast-import`. */
const STREAM = `${commit('main', 'base')}
${file('README.md', 'read me\n')}
${file('dir/file.txt', 'one\n')}
${file('dir/sub/file.txt', 'two\n')}
${file('link-outside', '../../secret', '120000')}
${file('pointer.bin', POINTER)}
${file('.gitmodules', MODULES)}
${file('.gitattributes', '*.md diff\n')}
M 160000 1111111111111111111111111111111111111111 module

reset refs/heads/at-base
from refs/heads/main

${commit('main', 'two')}
${file('dir/file.txt', 'changed\n')}
${commit('main', 'three')}
${file('new.txt', 'new\n')}
${commit('topic', 'topic')}
from refs/heads/at-base
${file('topic.txt', 'topic\n')}
${commit('rival', 'rival')}
from refs/heads/at-base
${file('dir/file.txt', 'otherwise\n')}
tag v1
from refs/heads/main
tagger A <a@example.com> 1600000400 +0000
${data('v1\n')}
reset refs/merge-requests/1/head
from refs/heads/topic

reset refs/remotes/origin/main
from refs/heads/main

done
`;
const OTHER_STREAM = `${commit('main', 'other')}\n${file('README.md', `${OTHER_SECRET}\n`)}\ndone\n`;

function commit(branch: string, message: string): string {
  return `commit refs/heads/${branch}\ncommitter A <a@example.com> 1600000000 +0000\n${data(message)}`;
}

function file(path: string, content: string, mode = '100644'): string {
  return `M ${mode} inline ${path}\n${data(content)}`;
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}`;
}

/**
 * Files that calls may change in a repository; CommitLanguages keeps its cache there, and
 * UserApplyPatch a directory for its work trees, as in Gitaly.
 */
const CHANGEABLE = [
  'objects',
  'refs',
  'packed-refs',
  'HEAD',
  'logs',
  'gitaly-language.stats',
  'gitlab-worktree',
  '.gitaly-full-repack-timestamp',
  // Removed by maintenance.
  'info/refs',
];

/** A directory with a storage, and everything around it that calls must leave alone. */
export class Sandbox {
  readonly directory = makeScratchDirectory('hostile');
  readonly storage = join(this.directory, 'default');
  /** The home directory and the working directory of the server. */
  readonly home = join(this.directory, 'home');
  readonly workingDirectory = join(this.directory, 'cwd');
  /** The hostile values name files in it. */
  readonly canaries = join(this.directory, 'canaries');
  readonly secretFile = join(this.directory, 'secret');
  readonly otherRepository = join(this.storage, 'other.git');
  /** Holds `remote.git` and `snapshot.tar`, copies of the target repository. */
  readonly web = join(this.directory, 'web');
  /** A bundle of all references. */
  readonly bundle: Buffer;
  readonly ids: TargetIds;
  readonly #template = join(this.directory, 'template.git');

  readonly addresses: SandboxAddresses;

  constructor(addresses: SandboxAddresses) {
    this.addresses = addresses;
    for (const path of [
      this.storage,
      this.home,
      this.workingDirectory,
      this.canaries,
      join(this.home, '.ssh'),
    ])
      mkdirSync(path);
    writeFileSync(this.secretFile, `${SECRET}\n`);
    writeFileSync(join(this.home, '.ssh/authorized_keys'), `${SECRET}\n`);
    initRepository(this.otherRepository);
    gitOutput(this.otherRepository, ['fast-import', '--quiet', '--done'], OTHER_STREAM);
    initRepository(this.#template);
    const git = (...args: string[]): string => gitOutput(this.#template, args);
    gitOutput(this.#template, ['fast-import', '--quiet', '--done'], STREAM);
    git('repack', '-adq');
    git('pack-refs', '--all');
    git('update-ref', 'refs/heads/loose', 'main~1');
    git('config', 'gitlab.fullpath', 'group/project');
    this.bundle = outputSync('git', ['-C', this.#template, 'bundle', 'create', '-q', '-', '--all']);
    this.#fillWeb();
    this.ids = {
      main: git('rev-parse', 'main'),
      base: git('rev-parse', 'main~2'),
      topic: git('rev-parse', 'topic'),
      rival: git('rev-parse', 'rival'),
      tree: git('rev-parse', 'main^{tree}'),
      blob: git('rev-parse', 'main:README.md'),
      otherBlob: git('rev-parse', 'main:dir/file.txt'),
      pointer: git('rev-parse', 'main:pointer.bin'),
      tag: git('rev-parse', 'v1'),
    };
  }

  #fillWeb(): void {
    const remote = join(this.web, 'remote.git');
    cpSync(this.#template, remote, { recursive: true });
    gitOutput(remote, ['update-server-info']);
    const files = ['HEAD', 'packed-refs', 'refs', 'objects'];
    outputSync('tar', ['-C', this.#template, '-cf', join(this.web, 'snapshot.tar'), ...files]);
  }

  /** Makes a copy of the target repository at a path of the storage. */
  copyTarget(relativePath: string): void {
    const path = join(this.storage, relativePath);
    rmSync(path, { recursive: true, force: true });
    cpSync(this.#template, path, { recursive: true });
  }

  /** Removes what does not belong to the storage: calls that create repositories may do so anywhere. */
  clearStorage(known: readonly string[]): void {
    for (const name of readdirSync(this.storage)) if (!known.includes(name)) this.remove(name);
  }

  remove(relativePath: string): void {
    rmSync(join(this.storage, relativePath), { recursive: true, force: true });
  }

  /**
   * Returns everything in the sandbox but the given places: paths, with the facts that reveal a
   * change.
   */
  state(except: readonly string[]): Map<string, string> {
    const state = new Map<string, string>();
    addState(state, this.directory, new Set(except.map((path) => join(this.directory, path))));
    return state;
  }

  /** Returns the parts of a repository that no call may change: its settings, hooks and attributes. */
  settingsOf(relativePath: string): Map<string, string> {
    const state = new Map<string, string>();
    const path = join(this.storage, relativePath);
    addState(state, path, new Set(CHANGEABLE.map((name) => join(path, name))));
    return state;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function addState(state: Map<string, string>, path: string, except: ReadonlySet<string>): void {
  if (except.has(path)) return;
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) {
    state.set(path, `${stats.mode} ${stats.size} ${stats.mtimeMs} ${stats.ino}`);
    return;
  }
  state.set(path, `${stats.mode}`);
  for (const name of readdirSync(path)) addState(state, join(path, name), except);
}

/** Describes how two states differ, one line for each path. */
export function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const lines: string[] = [];
  for (const [path, value] of after) {
    const old = before.get(path);
    if (old === undefined) lines.push(`appeared: ${path}`);
    else if (old !== value) lines.push(`changed: ${path}`);
  }
  for (const path of before.keys()) if (!after.has(path)) lines.push(`vanished: ${path}`);
  return lines;
}
