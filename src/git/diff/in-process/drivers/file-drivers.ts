import { isRegular } from '#base/file-mode';
import { attributeFilesFor } from '#git/attributes/attribute-files';
import { type Attributes, TreeAttributes } from '#git/attributes/tree-attributes';
import type { GitCapabilities } from '#git/command/capabilities';
import { fallBackOnFailure } from '#git/command/in-process';
import type { ChangedPath } from '#git/diff/parse/raw-line';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import { rulesOfDriver } from './built-in-drivers.ts';
import type { LineRule } from './line-rule.ts';

/** How git compares one side of a change. */
export interface FileDriver {
  /** `undefined` if the contents determine it. */
  readonly isBinary: boolean | undefined;
  /** Rules for names of functions; `undefined` for git's default rule. */
  readonly rules: readonly LineRule[] | undefined;
}

export const DEFAULT_DRIVER: FileDriver = { isBinary: undefined, rules: undefined };
const TEXT: FileDriver = { isBinary: false, rules: undefined };
const BINARY: FileDriver = { isBinary: true, rules: undefined };

/** Limit of comparing paths with patterns. */
const MAX_STEPS = 100_000;

/** The drivers of changed files, by their attribute `diff`. */
export class FileDrivers {
  readonly #capabilities: GitCapabilities;
  /** By path, one character per byte. */
  readonly #attributes: ReadonlyMap<string, Attributes>;

  private constructor(capabilities: GitCapabilities, attributes: ReadonlyMap<string, Attributes>) {
    this.#capabilities = capabilities;
    this.#attributes = attributes;
  }

  /** Returns the drivers of files without attributes. */
  static none({ git }: GitRepository): FileDrivers {
    return new FileDrivers(git.capabilities, new Map());
  }

  /**
   * Reads the attributes of changed files in a repository without `info/attributes`.
   *
   * @param changes without renames: each has one path.
   * @param tree Tree whose `.gitattributes` apply; older versions of git get only the file at its
   *   top.
   * @throws {FallBackToGit} for attributes that cannot be read, or take long; the signal's reason
   *   when it is aborted.
   */
  static async read(
    repository: GitRepository,
    changes: readonly ChangedPath[],
    tree: string,
    options: ReadOptions,
  ): Promise<FileDrivers> {
    const { capabilities } = repository.git;
    const paths = changes.map(({ toPath }) => toPath);
    const files = await attributeFilesFor(repository, tree, capabilities.attrTree ? paths : [], options);
    if (files.length === 0) return FileDrivers.none(repository);
    const attributes = await TreeAttributes.read(repository, repository.objects, files, {
      ...options,
      hasInfo: false,
    });
    const found = await attributes.of(paths, { ...options, maxSteps: MAX_STEPS }).catch(fallBackOnFailure);
    const entries = paths.map((path, index) => [keyOf(path), found[index] ?? new Map()] as const);
    return new FileDrivers(capabilities, new Map(entries));
  }

  /**
   * Returns the driver of one side.
   *
   * @param mode 0 for a file that does not exist.
   * @throws {FallBackToGit} for a driver that may be new in git.
   */
  of(mode: number, path: Buffer): FileDriver {
    const state = isRegular(mode) ? this.#attributes.get(keyOf(path))?.get('diff') : undefined;
    if (state === undefined) return DEFAULT_DRIVER;
    if (state === 'set') return TEXT;
    if (state === 'unset') return BINARY;
    return { isBinary: undefined, rules: rulesOfDriver(state.value, this.#capabilities) };
  }
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}
