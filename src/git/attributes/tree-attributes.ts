import { readFile } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { BoundedMap } from '#base/memory/bounded-map';
import type { MatchWork } from '../names/wildmatch.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';
import {
  type AttributeLine,
  type AttributeState,
  parseAttributes,
  parseAttributesInTurns,
} from './parse-attributes.ts';

/** A file of attributes in a tree. */
export interface AttributeFile {
  /** Directory without a trailing slash; empty for the top. */
  readonly directory: Buffer;
  readonly oid: string;
}

/** The lines for the files below a directory. */
interface Frame {
  /** The last line first: it has precedence. */
  readonly lines: readonly AttributeLine[];
  /** Position in a path after the directory. */
  readonly baseAt: number;
}

/** A directory that has attributes, or one below it has. */
interface FrameNode {
  frame: Frame | undefined;
  /** Children by name, one character per byte. */
  readonly children: Map<string, FrameNode>;
}

/** The attributes of one path, by name. Unspecified ones are missing. */
export type Attributes = ReadonlyMap<string, Exclude<AttributeState, 'unspecified'>>;

/**
 * Larger files are ignored; thousands of lines fit. git's own limit is 100 MiB.
 * @see git: attr.h, ATTR_MAX_FILE_SIZE
 */
const MAX_FILE_BYTES = 1 << 20;
/** Limit of all files of a tree together; parsed, they take some ten times as much. */
const MAX_TREE_BYTES = 8 << 20;
/**
 * Limit of one call's work: some four seconds. A hundred lines for each of a million files are
 * within it; the patterns of a hostile repository exceed it.
 */
const MAX_STEPS = 300_000_000;
/** Steps between two readings of the clock: less than a millisecond. */
const STEPS_PER_LOOK = 100_000;
const SLASH = 0x2f;
/**
 * Files that were parsed last, because each diff asks for those of HEAD. The limit is that of their
 * texts.
 */
const parsedFiles = new BoundedMap<string, { readonly bytes: number; readonly lines: AttributeLine[] }>({
  maxEntries: 500,
  maxWeight: 128 * 1024,
  weigh: ({ bytes }) => bytes,
});
/** The macro that is built into git. */
const BUILT_IN = parseAttributes(Buffer.from('[attr]binary -diff -merge -text'), { allowMacros: true });

/**
 * The attributes that `.gitattributes` of a tree and `info/attributes` give to paths, as `git
 * check-attr --source=<tree>` prints them. It works for all versions of git, without a process. A
 * test compares it with git.
 */
export class TreeAttributes {
  readonly #info: Frame;
  readonly #top: FrameNode = { frame: undefined, children: new Map() };
  readonly #macros: ReadonlyMap<string, AttributeLine>;
  readonly #work: MatchWork = { steps: 0 };

  constructor(info: readonly AttributeLine[], files: ReadonlyMap<string, readonly AttributeLine[]>) {
    this.#info = { lines: info.toReversed(), baseAt: 0 };
    for (const [directory, lines] of files) {
      const frame = { lines: lines.toReversed(), baseAt: directory === '' ? 0 : directory.length + 1 };
      nodeOf(this.#top, directory).frame = frame;
    }
    // The last definition applies, and definitions in `info/attributes` are the last ones.
    const lines = [...BUILT_IN, ...(files.get('') ?? []), ...info];
    this.#macros = new Map(lines.flatMap((line) => (line.macro === undefined ? [] : [[line.macro, line]])));
  }

  /**
   * Reads the files of a tree, which the caller has found. Ignores missing files, those above 1
   * MiB, and entries that are not files.
   *
   * @param options.hasInfo False if there is no `info/attributes`.
   * @throws {GitalyError} RESOURCE_EXHAUSTED when they are larger than 8 MiB together.
   */
  static async read(
    repository: GitRepository,
    objects: ObjectReader,
    files: readonly AttributeFile[],
    { hasInfo = true, ...options }: ReadOptions & { readonly hasInfo?: boolean } = {},
  ): Promise<TreeAttributes> {
    const { signal } = options;
    const file = hasInfo ? await readInfoFile(repository) : Buffer.alloc(0);
    const info = await parseAttributesInTurns(file, { allowMacros: true, signal });
    const read = new Map<string, AttributeLine[]>();
    const slice = new LoopSlice();
    let bytes = 0;
    for (const { directory, oid } of files) {
      const found = await objects.info(oid, options);
      if (found?.type !== 'blob' || found.size > MAX_FILE_BYTES) continue;
      bytes += found.size;
      if (bytes > MAX_TREE_BYTES)
        throw new GitalyError('RESOURCE_EXHAUSTED', `.gitattributes exceed ${MAX_TREE_BYTES} bytes`);
      const allowMacros = directory.length === 0;
      const key = `${repository.path}\0${oid} ${allowMacros}`;
      const blob = parsedFiles.get(key) ?? (await objects.readObject(oid, options));
      if (blob !== undefined) {
        const lines =
          'lines' in blob
            ? blob.lines
            : await parseAttributesInTurns(beforeNul(blob.data), { allowMacros, signal });
        parsedFiles.set(key, { bytes: found.size, lines });
        read.set(directory.toString('latin1'), lines);
      }
      await slice.pause(signal);
    }
    return new TreeAttributes(info, read);
  }

  /**
   * Returns the attributes of files, in their order. Blocks the event loop for a few milliseconds
   * at a time.
   *
   * @param maxSteps limits the work of all calls on this object together; default: some four
   *   seconds.
   * @throws {GitalyError} RESOURCE_EXHAUSTED when the patterns need more.
   */
  async of(
    paths: readonly Buffer[],
    { signal, maxSteps = MAX_STEPS }: { readonly signal?: AbortSignal | undefined; maxSteps?: number } = {},
  ): Promise<Attributes[]> {
    const slice = new LoopSlice();
    const all: Attributes[] = [];
    let looked = this.#work.steps;
    for (const path of paths) {
      const found = new Map<string, AttributeState>();
      const name = path.lastIndexOf(SLASH) + 1;
      for (const { lines, baseAt } of this.#framesOf(path)) {
        const at = { base: baseAt, name };
        for (const { matches, assignments } of lines) {
          this.#work.steps++;
          if (matches?.(path, at, this.#work) === true) this.#assign(found, assignments);
          if (this.#work.steps - looked < STEPS_PER_LOOK) continue;
          looked = this.#work.steps;
          if (looked > maxSteps)
            throw new GitalyError('RESOURCE_EXHAUSTED', 'the patterns of .gitattributes take too long');
          await slice.pause(signal);
        }
      }
      const attributes = new Map<string, Exclude<AttributeState, 'unspecified'>>();
      for (const [name, state] of found) if (state !== 'unspecified') attributes.set(name, state);
      all.push(attributes);
    }
    return all;
  }

  /**
   * Returns the frames by precedence: `info/attributes`, then the file's own directory, up to the
   * top.
   */
  #framesOf(path: Buffer): Frame[] {
    const frames: Frame[] = [];
    let node: FrameNode | undefined = this.#top;
    for (let at = 0; node !== undefined; ) {
      if (node.frame !== undefined) frames.push(node.frame);
      const slash = path.indexOf(SLASH, at);
      if (slash === -1) break;
      node = node.children.get(path.toString('latin1', at, slash));
      at = slash + 1;
    }
    return [this.#info, ...frames.reverse()];
  }

  /**
   * Adds assignments. The first assignment of a name applies. Setting a macro also adds the macro's
   * assignments.
   */
  #assign(found: Map<string, AttributeState>, assignments: AttributeLine['assignments']): void {
    for (const { name, state } of assignments.toReversed()) {
      this.#work.steps++;
      if (found.has(name)) continue;
      found.set(name, state);
      const macro = state === 'set' ? this.#macros.get(name) : undefined;
      if (macro !== undefined) this.#assign(found, macro.assignments);
    }
  }
}

/** git reads no further in a file of a tree. */
function beforeNul(file: Buffer): Buffer {
  const nul = file.indexOf(0);
  return nul === -1 ? file : file.subarray(0, nul);
}

/** Returns the node of a directory, and adds those that are missing. */
function nodeOf(top: FrameNode, directory: string): FrameNode {
  let node = top;
  for (const name of directory === '' ? [] : directory.split('/')) {
    const child = node.children.get(name) ?? { frame: undefined, children: new Map() };
    node.children.set(name, child);
    node = child;
  }
  return node;
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
