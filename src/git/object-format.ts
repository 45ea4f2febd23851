import { type BigIntStats, existsSync, readFileSync, statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { systemErrorCode, systemErrorText } from '#base/system-error';
import type { GitRepository } from './repository.ts';

export type ObjectFormatName = 'sha1' | 'sha256';
/** How references are stored; `other` is what only git knows how to read (worktrees, formats of the future). */
export type ReferenceBackend = 'files' | 'reftable' | 'other';

/** What a repository's own `config` file says about how it is stored. */
export interface RepositoryFormat {
  /** `undefined` when the file names a hash that is unknown here; `objectFormatName` has the name. */
  readonly objectFormat: ObjectFormatName | undefined;
  readonly objectFormatName: string;
  readonly referenceBackend: ReferenceBackend;
}

interface Entry {
  readonly stamp: string;
  readonly format: RepositoryFormat;
}

/** Repositories whose format is remembered; an entry is some 200 bytes. */
const MAX_ENTRIES = 10_000;

/** Formats of repositories, read from their `config` files and remembered for as long as the file is the same (one `stat` per use). */
export class ObjectFormats {
  readonly #entries = new Map<string, Entry>();

  /**
   * The hash of a repository.
   *
   * @throws {Error} `open: open <path>/config: no such file or directory`, `unknown object format: "x"` (plain facts; the caller
   *   gives them a code).
   */
  get(repository: GitRepository): ObjectFormatName {
    const { objectFormat, objectFormatName } = this.format(repository);
    if (objectFormat === undefined) throw new GitalyError('UNKNOWN', `unknown object format: ${quote(objectFormatName)}`);
    return objectFormat;
  }

  /** The hash of a repository, `undefined` where it cannot be told. */
  find(repository: GitRepository): ObjectFormatName | undefined {
    try {
      return this.format(repository).objectFormat;
    } catch {
      // No config file: whoever runs git there learns from git what is wrong.
      return undefined;
    }
  }

  /** All that the config file says. @throws {Error} as {@link get} does when the file cannot be read. */
  format({ path }: GitRepository): RepositoryFormat {
    const file = `${path}/config`;
    const stamp = stampOf(statFile(file));
    const known = this.#entries.get(path);
    if (known !== undefined && known.stamp === stamp) return known.format;
    const format = parseFormat(readFile(file), existsSync(`${path}/commondir`));
    this.#remember(path, { stamp, format });
    return format;
  }

  forget({ path }: GitRepository): void {
    this.#entries.delete(path);
  }

  #remember(path: string, entry: Entry): void {
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    if (this.#entries.size <= MAX_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

/**
 * Reads the two settings from the text of a config file. Like Gitaly, it takes the first line `objectformat = X` of any section:
 * nothing else has a setting of that name. The rest of the line is the value: git would strip quotes and a comment, Gitaly refuses them.
 */
export function parseFormat(text: string, isWorktree: boolean): RepositoryFormat {
  const objectFormatName = /^[ \t]*objectformat[ \t]*=[ \t]*(.*?)[ \t\r]*$/im.exec(text)?.[1] ?? 'sha1';
  const storage = /^\s*refstorage\s*=\s*(\S+)\s*$/im.exec(text)?.[1]?.toLowerCase() ?? 'files';
  const odd = isWorktree || /^\s*worktreeconfig\s*=\s*true\s*$/im.test(text) || (storage !== 'files' && storage !== 'reftable');
  return {
    objectFormat: objectFormatName === 'sha1' || objectFormatName === 'sha256' ? objectFormatName : undefined,
    objectFormatName,
    referenceBackend: odd ? 'other' : storage === 'reftable' ? 'reftable' : 'files',
  };
}

function statFile(file: string): BigIntStats {
  try {
    return statSync(file, { bigint: true });
  } catch (error) {
    throw openError(file, error);
  }
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (systemErrorCode(error) !== 'EISDIR') throw openError(file, error);
    throw new GitalyError('UNKNOWN', `scan: read ${file}: ${systemErrorText(error)}`, { cause: error });
  }
}

function openError(file: string, cause: unknown): GitalyError {
  return new GitalyError('UNKNOWN', `open: open ${file}: ${systemErrorText(cause)}`, { cause });
}

/** What of a file's state changes whenever git replaces or rewrites it. */
function stampOf({ mtimeNs, ctimeNs, size, ino }: BigIntStats): string {
  return `${mtimeNs}:${ctimeNs}:${size}:${ino}`;
}
