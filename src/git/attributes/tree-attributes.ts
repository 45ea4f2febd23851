import { readFile } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';
import { type AttributeLine, type AttributeState, parseAttributes } from './parse-attributes.ts';

/** Where a file of attributes lies. */
export interface AttributeFile {
  /** Its directory without a slash at its end; empty for the top. */
  readonly directory: Buffer;
  readonly oid: string;
}

/** Lines that are about the files below a directory. */
interface Frame {
  /** The last one first: it has precedence. */
  readonly lines: readonly AttributeLine[];
  /** Where paths relative to the directory begin. */
  readonly baseAt: number;
}

/** The attributes of one path, by name. Those that nothing is said about are missing. */
export type Attributes = ReadonlyMap<string, Exclude<AttributeState, 'unspecified'>>;

/** Larger files are not looked at. @see git: attr.h, ATTR_MAX_FILE_SIZE (100 MiB; nobody writes one of 16) */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const SLASH = 0x2f;
/** The macro that every git knows. */
const BUILT_IN = parseAttributes(Buffer.from('[attr]binary -diff -merge -text'), { allowMacros: true });

/**
 * The attributes that `.gitattributes` of a tree and `info/attributes` give to paths, as `git check-attr --source=<tree>` tells them: for
 * all versions of git, and without a process that has to be asked path by path. A test compares the two.
 */
export class TreeAttributes {
  readonly #info: Frame;
  /** By directory, one character per byte. */
  readonly #frames: ReadonlyMap<string, Frame>;
  readonly #macros: ReadonlyMap<string, AttributeLine>;

  constructor(info: readonly AttributeLine[], files: ReadonlyMap<string, readonly AttributeLine[]>) {
    this.#info = { lines: info.toReversed(), baseAt: 0 };
    this.#frames = new Map(
      [...files].map(([directory, lines]) => [
        directory,
        { lines: lines.toReversed(), baseAt: directory === '' ? 0 : directory.length + 1 },
      ]),
    );
    // The last definition counts, and `info/attributes` have the last word.
    const lines = [...BUILT_IN, ...(files.get('') ?? []), ...info];
    this.#macros = new Map(lines.flatMap((line) => (line.macro === undefined ? [] : [[line.macro, line]])));
  }

  /** Reads the files of a tree, which the caller has found. Missing ones, and such that are no files, say nothing. */
  static async read(
    repository: GitRepository,
    objects: ObjectReader,
    files: readonly AttributeFile[],
    options: ReadOptions = {},
  ): Promise<TreeAttributes> {
    const info = parseAttributes(await readInfoFile(repository), { allowMacros: true });
    const read = new Map<string, AttributeLine[]>();
    for (const { directory, oid } of files) {
      const found = await objects.info(oid, options);
      if (found?.type !== 'blob' || found.size > MAX_FILE_BYTES) continue;
      const blob = await objects.readObject(oid, options);
      if (blob !== undefined) {
        read.set(directory.toString('latin1'), parseAttributes(blob.data, { allowMacros: directory.length === 0 }));
      }
    }
    return new TreeAttributes(info, read);
  }

  /** What is said about a file. */
  of(path: Buffer): Attributes {
    const said = new Map<string, AttributeState>();
    for (const { lines, baseAt } of this.#framesOf(path)) {
      for (const { matches, assignments } of lines) {
        if (matches?.(path, baseAt) === true) this.#say(said, assignments);
      }
    }
    const attributes = new Map<string, Exclude<AttributeState, 'unspecified'>>();
    for (const [name, state] of said) if (state !== 'unspecified') attributes.set(name, state);
    return attributes;
  }

  /** Those that count most first: `info/attributes`, then the file's own directory, up to the top. */
  #framesOf(path: Buffer): Frame[] {
    const frames = [this.#info];
    if (this.#frames.size === 0) return frames;
    for (let end = path.lastIndexOf(SLASH); ; end = path.lastIndexOf(SLASH, end - 1)) {
      const frame = this.#frames.get(end <= 0 ? '' : path.toString('latin1', 0, end));
      if (frame !== undefined) frames.push(frame);
      if (end <= 0) return frames;
    }
  }

  /** What is said first stays. A macro that is set brings along what it stands for. */
  #say(said: Map<string, AttributeState>, assignments: AttributeLine['assignments']): void {
    for (const { name, state } of assignments.toReversed()) {
      if (said.has(name)) continue;
      said.set(name, state);
      const macro = state === 'set' ? this.#macros.get(name) : undefined;
      if (macro !== undefined) this.#say(said, macro.assignments);
    }
  }
}

async function readInfoFile({ path }: GitRepository): Promise<Buffer> {
  try {
    return await readFile(`${path}/info/attributes`);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return Buffer.alloc(0);
    throw error;
  }
}
