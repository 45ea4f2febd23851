import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { isError } from '#base/is-error';
import { trimmedEnd } from '#base/trim';
import {
  defaultName,
  findRepositories,
  type ImportSource,
  isLocalDirectory,
  relativePathOf,
  SourceError,
} from './source.ts';
import { displayOf, isUrl } from './url.ts';

export interface SourceOptions {
  /** Paths and URLs from the command line. */
  readonly locations: readonly string[];
  /** File with one source per line, and its name after white space; `-` is standard input. */
  readonly list?: string | undefined;
  /** Name of the only source. */
  readonly name?: string | undefined;
  /** Prefix of every name. */
  readonly prefix?: string | undefined;
  /** Finds repositories below the paths. */
  readonly recursive?: boolean | undefined;
  readonly onUnreadable: (path: string, reason: string) => void;
}

interface Named {
  readonly location: string;
  readonly name: string;
}

/**
 * Returns all sources of the import, each with a unique name. @throws {SourceError} before anything
 * is imported.
 */
export async function collectSources(options: SourceOptions): Promise<readonly ImportSource[]> {
  const named: Named[] = [];
  for (const location of options.locations) named.push(...(await namedSources(location, options)));
  if (options.list !== undefined) named.push(...parseList(await readList(options.list)));
  if (options.name !== undefined && named.length !== 1) {
    throw new SourceError(
      `--name works with one repository, but there are ${named.length}: use --prefix, or --list with names`,
    );
  }
  if (named.length === 0)
    throw new SourceError(
      'no repository found: name paths or URLs, or use --recursive for a directory of repositories',
    );
  const prefix = options.prefix === undefined ? '' : `${trimmedEnd(options.prefix, '/')}/`;
  const sources = named.map(({ location, name }) => ({
    location,
    relativePath: relativePathOf(prefix + (options.name ?? name)),
  }));
  refuseTwins(sources);
  return sources;
}

async function namedSources(
  location: string,
  { recursive, onUnreadable }: SourceOptions,
): Promise<readonly Named[]> {
  if (isUrl(location) || !isLocalDirectory(location) || recursive !== true)
    return [{ location, name: defaultName(location) }];
  return await Array.fromAsync(findRepositories(location, onUnreadable));
}

async function readList(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw new SourceError(`--list: ${String(isError(error) ? error.message : error)}`, {
      cause: error,
    });
  }
}

/**
 * Parses lines of `SOURCE` or `SOURCE NAME`; ignores empty lines and those that begin with `#`.
 */
function parseList(list: string): Named[] {
  const lines = list.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, location = line, name = defaultName(location)] = /^(.*\S)\s+(\S+)$/.exec(line) ?? [];
      return { location, name };
    });
}

function refuseTwins(sources: readonly ImportSource[]): void {
  const seen = new Map<string, ImportSource>();
  for (const source of sources) {
    const other = seen.get(source.relativePath);
    if (other !== undefined) {
      throw new SourceError(
        `${displayOf(other.location)} and ${displayOf(source.location)} have the same name ` +
          `${source.relativePath}: set names with --list`,
      );
    }
    seen.set(source.relativePath, source);
  }
}
