import { basename, isAbsolute, join } from 'node:path';
import type { ChunkingContext, CodeSplittingOptions, PreRenderedChunk } from 'rolldown';

/** The first module of a server; it is in memory before the server accepts calls. */
const SERVER = 'gitaly/run-gitaly';
/** A module of every server, that of tests and of `up` too. */
const EVERY_SERVER = 'gitaly/gitaly-server';
/** The program that git starts for each hook. */
const HOOKS = ['cli/gitaly-hooks', 'tools/hook-program/run-hook-program'];
/** Programs with many commands. */
const COMMAND_LINES = ['cli/gitaly', 'cli/gitaly-ts', 'cli/praefect'];
/** Programs that git and a service manager start. A server copies those of git, with what they load. */
const SMALL = ['hooks', 'lfs-smudge', 'ssh', 'wrapper'].map((name) => `cli/gitaly-${name}`);

/**
 * Returns which modules share a file. The bundler's own rule, a file for all modules that the same
 * programs load, made 205 files of a server, and a third of its start was to read and link them.
 * In this order: what a hook loads; what other small programs load; what a command line loads
 * before its command; what is left of programs without a server; the rest of a server. The second
 * and the fourth are split by the bundler's rule, so that no program reads what it does not need.
 *
 * Each part contains what its modules import, or an earlier part does: files never import each
 * other in a ring.
 *
 * @param dist the folder of the modules
 * @param programs paths of the modules that run when they are imported
 */
export function sharedFiles(dist: string, programs: ReadonlySet<string>): CodeSplittingOptions {
  const graph = new ModuleGraph(dist);
  const commands = [...programs].filter((id) => id.startsWith(join(dist, 'cli/')));
  const isOf = (roots: readonly string[], id: string): boolean =>
    roots.some((root) => graph.importedBy(root).has(id));
  const parts: readonly [name: string, isIn: (id: string) => boolean, isSplit?: true][] = [
    ['hooks', (id) => isOf(HOOKS, id)],
    ['small', (id) => graph.reachedFrom(SMALL).has(id), true],
    ['command', (id) => isOf(COMMAND_LINES, id)],
    ['light', (id) => graph.reachedFrom(commands).has(id), true],
    ['server', (id) => isOf([SERVER], id)],
  ];
  return {
    groups: parts.map(([name, isIn, isSplit = false], index) => ({
      name: (id, context) => {
        graph.context = context;
        return !programs.has(id) && isIn(id) ? name : null;
      },
      debugName: name,
      priority: parts.length - index,
      entriesAware: isSplit,
    })),
  };
}

/** Returns the name of a file; those of `entriesAware` contain the paths of all programs. */
export function sharedFileName({ name, moduleIds }: PreRenderedChunk): string {
  return name.includes('~') ? basename(moduleIds.at(-1) ?? name, '.js') : name;
}

/** The imports of modules, as the bundler has found them. */
class ModuleGraph {
  context: ChunkingContext | undefined;
  readonly #dist: string;
  readonly #imported = new Map<string, ReadonlySet<string>>();
  readonly #reached = new Map<readonly string[], ReadonlySet<string>>();

  constructor(dist: string) {
    this.#dist = dist;
  }

  /** Returns a module and all that it imports at once. */
  importedBy(module: string): ReadonlySet<string> {
    const start = this.#idOf(module);
    const known = this.#imported.get(start);
    if (known !== undefined) return known;
    const found = new Set([start]);
    for (const id of found) for (const next of this.#info(id)?.importedIds ?? []) found.add(next);
    this.#imported.set(start, found);
    return found;
  }

  /** Returns modules and all that they import, at once or later, until they start a server. */
  reachedFrom(modules: readonly string[]): ReadonlySet<string> {
    const known = this.#reached.get(modules);
    if (known !== undefined) return known;
    const server = this.#idOf(EVERY_SERVER);
    const found = new Set(modules.map((module) => this.#idOf(module)));
    for (const id of found) {
      for (const next of this.#info(id)?.importedIds ?? []) found.add(next);
      for (const next of this.#info(id)?.dynamicallyImportedIds ?? [])
        if (!this.importedBy(next).has(server)) found.add(next);
    }
    this.#reached.set(modules, found);
    return found;
  }

  /** @param module its path below `dist` without ending, or its id */
  #idOf(module: string): string {
    return isAbsolute(module) ? module : join(this.#dist, `${module}.js`);
  }

  #info(id: string): ReturnType<ChunkingContext['getModuleInfo']> {
    return this.context?.getModuleInfo(id) ?? null;
  }
}
