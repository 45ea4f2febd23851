import {
  closeSync,
  constants,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { askGit, type RunnableGit } from './ask-git.ts';
import type { Spawner } from './spawner/spawner.ts';

export interface PrivateCopyOptions {
  /** Existing directory; its owner removes it. */
  readonly parent: string;
  /** Called when there is no copy because the directory must not contain programs. */
  readonly onProblem: (error: string) => void;
}

/** A copy of git that only one server uses. */
interface PrivateGit {
  readonly binary: string;
  /** Directory for `GIT_EXEC_PATH`. */
  readonly execPath: string;
}

/** Programs that git starts for connections; its other helpers are the same file as git. */
const COPIED_HELPER = 'git-remote-http';
/**
 * Commands of git that other programs call by these names. The other 140 names are omitted:
 * creating them takes a tenth of a second on a busy disk.
 */
const CALLED_BY_NAME = new Set(['git-receive-pack', 'git-upload-archive', 'git-upload-pack']);
const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1');

/**
 * Returns a copy of git that runs; `undefined` if none is needed or possible, or if the operator
 * has chosen the directory of git's programs (`GIT_EXEC_PATH`).
 */
export async function privateCopy(
  git: RunnableGit,
  spawner: Spawner,
  options: PrivateCopyOptions | undefined,
): Promise<RunnableGit | undefined> {
  if (options === undefined || git.inherited.GIT_EXEC_PATH !== undefined) return undefined;
  try {
    const execPath = await askGit(git, '--exec-path', spawner);
    const copy = copyGit({ binary: git.binary, execPath }, options.parent);
    if (copy === undefined) return undefined;
    const inherited = { ...git.inherited, GIT_EXEC_PATH: copy.execPath };
    await askGit({ binary: copy.binary, inherited }, 'version', spawner); // may it run there?
    return { binary: copy.binary, inherited };
  } catch (error) {
    options.onProblem(messageOf(error));
    return undefined;
  }
}

/**
 * Copies git and its helper for HTTP, so that an upgrade on disk does not replace them while the
 * server runs. Everything else of git's own directory is linked: scripts, and programs that the
 * server does not start. Reflinks are used where the file system has them. It takes some
 * milliseconds of a start.
 *
 * @param source.binary the program.
 * @param source.execPath what `git --exec-path` prints.
 * @param parent existing directory; its owner removes it.
 * @returns `undefined` when the program is a script: that may lead anywhere.
 * @throws system errors; then nothing is left.
 */
function copyGit(
  source: { readonly binary: string; readonly execPath: string },
  parent: string,
): PrivateGit | undefined {
  const binary = realpathSync(source.binary);
  if (!isElf(binary)) return undefined;
  const execPath = mkdtempSync(join(parent, 'git-exec-'));
  try {
    const copies = new Map<string, string>();
    const copy = (file: string, name: string): void => {
      copyFileSync(file, join(execPath, name), constants.COPYFILE_FICLONE);
      copies.set(identityOf(file), name);
    };
    copy(binary, 'git');
    const names = readdirSync(source.execPath);
    if (names.includes('git')) copies.set(identityOf(join(source.execPath, 'git')), 'git');
    if (names.includes(COPIED_HELPER)) copy(join(source.execPath, COPIED_HELPER), COPIED_HELPER);
    for (const name of names) {
      if (name === 'git' || name === COPIED_HELPER) continue;
      const original = join(source.execPath, name);
      const copied = copies.get(identityOf(original));
      if (copied !== 'git' || CALLED_BY_NAME.has(name)) symlinkSync(copied ?? original, join(execPath, name));
    }
    return { binary: join(execPath, 'git'), execPath };
  } catch (error) {
    rmSync(execPath, { recursive: true });
    throw error;
  }
}

function isElf(file: string): boolean {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(ELF_MAGIC.length);
    readSync(fd, head);
    return head.equals(ELF_MAGIC);
  } finally {
    closeSync(fd);
  }
}

/** The same for all links to one file, symbolic or not; empty for a link to nowhere. */
function identityOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.dev}:${found.ino}`;
}
