import { existsSync, readFileSync, type Stats, statSync } from 'node:fs';
import { attempt } from '#base/attempt';
import { type FileStamp, stampOf } from '#base/files/file-stamp';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { MAX_CONFIG_BYTES, parseSettings, type Setting } from './config-file.ts';

export type ObjectFormatName = 'sha1' | 'sha256';
/** Storage of references that can be read in process. */
export type StoredBackend = 'files' | 'reftable';
/**
 * Storage of references; `other` is a format that only git can read (worktrees, future formats).
 */
export type ReferenceBackend = StoredBackend | 'other';

/** The storage format according to a repository's own `config` file. */
export interface RepositoryFormat {
  /** `undefined` if the file names an unknown hash; `objectFormatName` has the name. */
  readonly objectFormat: ObjectFormatName | undefined;
  readonly objectFormatName: string;
  readonly referenceBackend: ReferenceBackend;
  /** The storage that the file names; `files` if it names none. */
  readonly referenceBackendName: string;
  /**
   * True if every version of git that knows the formats above works in the repository. False if its
   * `config` has anything unusual: git may refuse it.
   */
  readonly isPlain: boolean;
}

/** Extensions with a meaning in version 0. git ignores unknown ones there. */
const IN_VERSION_0: ReadonlySet<string> = new Set([
  'extensions.noop',
  'extensions.partialclone',
  'extensions.preciousobjects',
]);
const IN_VERSION_1: ReadonlySet<string> = new Set([
  ...IN_VERSION_0,
  'extensions.objectformat',
  'extensions.refstorage',
]);

interface Located {
  readonly path: string;
}

interface Entry {
  readonly stamp: FileStamp;
  readonly format: RepositoryFormat;
}

/** Maximum number of cached formats; an entry is some 200 bytes. */
const MAX_ENTRIES = 10_000;

/**
 * Formats of repositories, read from their `config` files and cached until the file changes (one
 * `stat` per use).
 */
export class RepositoryFormats {
  readonly #entries = new BoundedMap<string, Entry>({ maxEntries: MAX_ENTRIES, order: 'insertion' });

  /**
   * Returns the format of a repository.
   *
   * @throws {GitalyError} UNKNOWN `open: open <path>/config: no such file or directory`.
   */
  of({ path }: Located): RepositoryFormat {
    const stamp = stampOf(statFile(configFile(path)));
    const known = this.#entries.get(path);
    if (known !== undefined && known.stamp === stamp) return known.format;
    const format = readFormat(path);
    this.#entries.set(path, { stamp, format });
    return format;
  }

  /** Returns the format of a repository; `undefined` when the config file cannot be read. */
  find(repository: Located): RepositoryFormat | undefined {
    // On failure: git itself reports the error when a command runs there.
    return attempt(() => this.of(repository));
  }

  forget({ path }: Located): void {
    this.#entries.delete(path);
  }
}

/** Reads the format of the repository at a path. @throws as {@link RepositoryFormats.of}. */
export function readFormat(path: string): RepositoryFormat {
  return parseFormat(readFile(configFile(path)), existsSync(`${path}/commondir`));
}

/**
 * Returns the hash function of a format.
 *
 * @throws {GitalyError} UNKNOWN `unknown object format: "x"`; the caller gives it a better code.
 */
export function requireObjectFormat({ objectFormat, objectFormatName }: RepositoryFormat): ObjectFormatName {
  if (objectFormat !== undefined) return objectFormat;
  throw new GitalyError('UNKNOWN', `unknown object format: ${quote(objectFormatName)}`);
}

/**
 * Returns the storage of references that a format names. With an unknown one git would fail, and
 * some calls take that for an empty result.
 *
 * @throws {GitalyError} UNKNOWN `unknown reference backend: "x"`, as Gitaly before it starts git.
 */
export function requireReferenceBackend({ referenceBackendName }: RepositoryFormat): StoredBackend {
  if (referenceBackendName === 'files' || referenceBackendName === 'reftable') return referenceBackendName;
  throw new GitalyError('UNKNOWN', `unknown reference backend: ${quote(referenceBackendName)}`);
}

function configFile(path: string): string {
  return `${path}/config`;
}

/**
 * Parses the two settings in the text of a config file. Like Gitaly, it uses the first line
 * `objectformat = X` of any section, because no other setting has that name. The rest of the line
 * is the value: git would strip quotes and a comment, but Gitaly refuses them.
 */
export function parseFormat(text: string, isWorktree: boolean): RepositoryFormat {
  const first = (wanted: string): string | undefined => valuesOf(text, wanted).next().value ?? undefined;
  const objectFormatName = first('objectformat') ?? 'sha1';
  const storage = first('refstorage') ?? 'files';
  const settings = text.length > MAX_CONFIG_BYTES ? undefined : parseSettings(text);
  const odd =
    isWorktree ||
    valuesOf(text, 'worktreeconfig').some((value) => value.toLowerCase() === 'true') ||
    (storage !== 'files' && storage !== 'reftable');
  return {
    objectFormat: objectFormatName === 'sha1' || objectFormatName === 'sha256' ? objectFormatName : undefined,
    objectFormatName,
    referenceBackendName: storage,
    referenceBackend: odd ? 'other' : storage === 'reftable' ? 'reftable' : 'files',
    isPlain: settings !== undefined && hasKnownExtensions(settings),
  };
}

/** Reports whether every git supports the version and extensions of a config file. */
function hasKnownExtensions(settings: readonly Setting[]): boolean {
  const version =
    settings.findLast(({ key }) => key === 'core.repositoryformatversion')?.value.toString() ?? '0';
  const known = version === '0' ? IN_VERSION_0 : version === '1' ? IN_VERSION_1 : undefined;
  return known !== undefined && settings.every(({ key }) => !key.startsWith('extensions.') || known.has(key));
}

/**
 * Returns the values of a key in any section. Only lines with its name are looked at: a file of
 * some megabytes would otherwise block the event loop. An expression may take quadratic time.
 */
function* valuesOf(text: string, key: string): Generator<string, void> {
  const lower = text.toLowerCase();
  for (let found = lower.indexOf(key); found !== -1; ) {
    const start = text.lastIndexOf('\n', found) + 1;
    const lf = text.indexOf('\n', found);
    const line = text.slice(start, lf === -1 ? text.length : lf);
    const at = line.indexOf('=');
    if (at > 0 && line.slice(0, at).trim().toLowerCase() === key) yield line.slice(at + 1).trim();
    found = lf === -1 ? -1 : lower.indexOf(key, lf);
  }
}

function statFile(file: string): Stats {
  try {
    return statSync(file);
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
