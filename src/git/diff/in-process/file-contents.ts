import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { CompareWork } from '#git/lines/compare-work';
import { lineChangesOfDiff } from '#git/lines/line-changes';
import { LineSplitter } from '#git/lines/split-lines';
import { kindOf } from '#git/names/entry-kind';
import { isZeroOid } from '#git/names/object-id';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import type { ChangedPath } from '../parse/raw-line.ts';
import { DEFAULT_DRIVER, type FileDriver, type FileDrivers } from './drivers/file-drivers.ts';
import type { ComparedLines } from './hunks.ts';

/** Limit of all files of a diff. */
const MAX_ALL_BYTES = 4 * 1024 * 1024;
/** Bytes in which git searches for a NUL, which makes a file a binary one. */
const BINARY_HEAD_BYTES = 8000;

/** One side of a change. */
export interface FileSide {
  readonly bytes: Buffer;
  readonly driver: FileDriver;
}

/** Both sides of a change. */
export interface FileContents {
  readonly before: FileSide;
  readonly after: FileSide;
}

/** A file that does not exist. */
export const NO_CONTENTS: FileSide = { bytes: Buffer.alloc(0), driver: DEFAULT_DRIVER };

/** Reads the contents of changed files of one diff, each once. */
export class ContentsReader {
  readonly #repository: GitRepository;
  readonly #options: ReadOptions;
  readonly #blobs = new Map<string, Buffer>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(repository: GitRepository, options: ReadOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  /** @throws as {@link blob}. */
  async read(change: ChangedPath, drivers: FileDrivers): Promise<FileContents> {
    const { oldMode, newMode, fromOid, toOid } = change;
    return {
      before: {
        bytes: await this.#contents(oldMode, fromOid),
        driver: drivers.of(oldMode, change.fromPath),
      },
      after: { bytes: await this.#contents(newMode, toOid), driver: drivers.of(newMode, change.toPath) },
    };
  }

  /** Returns the size of a file. @throws {FallBackToGit} when it cannot be read. */
  async size(oid: string): Promise<number> {
    const known = this.#sizes.get(oid);
    if (known !== undefined) return known;
    const info = await this.#repository.objects.info(oid, this.#options).catch(fallBackOnFailure);
    if (info?.type !== 'blob') throw new FallBackToGit('a file is missing');
    this.#sizes.set(oid, info.size);
    return info.size;
  }

  /** @throws {FallBackToGit} for files that are large, or cannot be read. */
  async blob(oid: string): Promise<Buffer> {
    const known = this.#blobs.get(oid);
    if (known !== undefined) return known;
    const { type, data } = await this.#repository.objects.readInProcess(oid, this.#options);
    if (type !== 'blob') throw new FallBackToGit('a file is missing');
    this.#bytes += data.length;
    if (this.#bytes > MAX_ALL_BYTES) throw new FallBackToGit('the changed files are large');
    this.#blobs.set(oid, data);
    return data;
  }

  async #contents(mode: number, oid: string): Promise<Buffer> {
    if (mode === 0 || isZeroOid(oid)) return Buffer.alloc(0);
    if (kindOf(mode) === 'submodule') return Buffer.from(`Subproject commit ${oid}\n`);
    return await this.blob(oid);
  }
}

/**
 * Compares the lines of two text files.
 *
 * @throws {FallBackToGit} for files with very many lines, or that take long to compare.
 */
export function compareLines({ before, after }: FileContents): ComparedLines {
  const splitter = new LineSplitter();
  const old = splitter.split(before.bytes);
  const lines = { before: old, after: splitter.split(after.bytes, old) };
  const changes = lineChangesOfDiff({ ...lines, idCount: splitter.count }, new CompareWork());
  return { ...lines, changes };
}

/** Reports whether git compares files as binary ones. */
export function isBinary({ before, after }: FileContents): boolean {
  return isBinarySide(before) || isBinarySide(after);
}

export function isBinarySide({ bytes, driver }: FileSide): boolean {
  return driver.isBinary ?? bytes.subarray(0, BINARY_HEAD_BYTES).includes(0);
}
