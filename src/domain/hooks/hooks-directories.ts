import { access, chmod, constants, copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** The hooks that git can be given, in the order of the bits of a set. */
export const RELAYED_HOOKS = ['reference-transaction', 'update', 'pre-receive', 'post-receive'] as const;

export type RelayedHook = (typeof RELAYED_HOOKS)[number];

/** The relay script as it lies in the package. */
const SCRIPT = new URL('../../hook/relay.sh', import.meta.url);
/** The script that requests a turn before a pack is made. */
const PACK_OBJECTS_SCRIPT = new URL('../../hook/pack-objects.sh', import.meta.url);
const PACK_OBJECTS = 'pack-objects';
const EXECUTABLE = 0o755;

/**
 * Directories for `core.hooksPath`, one for each set of hooks, so that git starts only hooks that
 * can do something.
 *
 * They are made when the server starts, with a copy of the script: a push that runs while the
 * package is being replaced must not meet half a script, or one that speaks another protocol than
 * this server.
 */
export class HooksDirectories implements AsyncDisposable {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /**
   * Creates the directories.
   *
   * @param runtimeDirectory parent of the new `hooks-<random>.d`.
   * @param helper program for hooks that run without a push of this server (`gitaly-hooks`).
   * @throws {Error} where programs cannot be executed: git would skip all hooks, with their checks.
   */
  static async create(runtimeDirectory: string, helper?: string): Promise<HooksDirectories> {
    await mkdir(runtimeDirectory, { recursive: true });
    const root = await mkdtemp(join(runtimeDirectory, 'hooks-'));
    const script = join(root, 'relay');
    await copyFile(SCRIPT, script);
    await chmod(script, EXECUTABLE);
    await access(script, constants.X_OK).catch(async (cause: unknown) => {
      await rm(root, { recursive: true, force: true });
      const advice = 'mount its file system without noexec, or set another runtime_dir';
      throw new Error(`git cannot run hooks in ${runtimeDirectory}: ${advice}`, { cause });
    });
    const packObjects = join(root, PACK_OBJECTS);
    await copyFile(PACK_OBJECTS_SCRIPT, packObjects);
    await chmod(packObjects, EXECUTABLE);
    for (let set = 1; set < 1 << RELAYED_HOOKS.length; set++) {
      const directory = join(root, String(set));
      await mkdir(directory);
      for (const [bit, hook] of RELAYED_HOOKS.entries()) {
        if ((set & (1 << bit)) !== 0) await symlink('../relay', join(directory, hook));
      }
      if (helper !== undefined) await symlink(helper, join(directory, 'gitaly-hooks'));
    }
    return new HooksDirectories(root);
  }

  /** Returns the directory for exactly these hooks; `undefined` for none. */
  directoryFor(hooks: ReadonlySet<RelayedHook>): string | undefined {
    const set = RELAYED_HOOKS.reduce((bits, hook, bit) => (hooks.has(hook) ? bits | (1 << bit) : bits), 0);
    return set === 0 ? undefined : join(this.#root, String(set));
  }

  /** Path of the program for `uploadpack.packObjectsHook`. */
  get packObjectsHook(): string {
    return join(this.#root, PACK_OBJECTS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }
}
