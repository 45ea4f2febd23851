/** Extensions of files that only a program writes. */
const EXTENSIONS: ReadonlySet<string> = new Set(['.nib', '.xcworkspacedata', '.xcuserstate']);

/** Ends of paths: lock files and what package managers leave behind. No slash is asked for before them. */
const ENDS = [
  'Cargo.lock',
  'Cargo.toml.orig',
  'Gopkg.lock',
  'Pipfile.lock',
  'composer.lock',
  'deno.lock',
  'glide.lock',
  'npm-shrinkwrap.json',
  'package-lock.json',
  'pdm.lock',
  'pnpm-lock.yaml',
  'poetry.lock',
  'uv.lock',
] as const;

/** What may stand anywhere in a path. */
const PARTS = ['node_modules/', 'Godeps/', '__generated__/'] as const;

const PATTERNS = [
  // Whole directories.
  /(?:^|\/)(?:\.idea|Pods|Carthage\/Build|htmlcov)\//,
  // Vendored Go modules: a domain below `vendor/`.
  /vendor\/(?:[-0-9A-Za-z]+\.)+(?:com|edu|gov|in|me|net|org|fm|io)/,
  // Files of an exact name.
  /(?:^|\/)(?:flake\.lock|MODULE\.bazel\.lock|\.terraform\.lock\.hcl)$/,
  // `esy.lock` and `<name>.esy.lock`; the dot before `lock` may be anything, as in the original.
  /(?:^|\/)(?:\w+\.)?esy[^\n]lock$/,
  // .NET designer and SpecFlow files, Delphi type libraries.
  /(?:\.designer\.(?:cs|vb)|\.feature\.cs|_tlb\.pas)$/i,
  // Zephir.
  /[^\n]\.zep\.(?:c|h|php)$/,
] as const;

/**
 * Whether a file's path alone says that it is generated.
 *
 * @param extension of the path, in lower case, with its dot.
 */
export function hasGeneratedName(path: string, extension: string): boolean {
  return (
    EXTENSIONS.has(extension) ||
    ENDS.some((end) => path.endsWith(end)) ||
    PARTS.some((part) => path.includes(part)) ||
    PATTERNS.some((pattern) => pattern.test(path)) ||
    isPlugAndPlay(path) ||
    isSqlxQuery(path)
  );
}

/** `.pnp.*` of Yarn, at the start of any part of the path. */
function isPlugAndPlay(path: string): boolean {
  return /(?:^|\/)\.pnp\./.test(lastLine(path));
}

/** `.sqlx/query-<something>.json`; found without a pattern that would try every place of a long path again and again. */
function isSqlxQuery(path: string): boolean {
  if (!path.endsWith('.json')) return false;
  const line = lastLine(path);
  const start = /(?:^|\/)\.sqlx\/query-/.exec(line);
  return start !== null && line.length - start.index - start[0].length > '.json'.length;
}

/** A path as far as a pattern without line feeds can match its end; with the line feed before it, which no start of a path is. */
function lastLine(path: string): string {
  const lineFeed = path.lastIndexOf('\n');
  return lineFeed === -1 ? path : path.slice(lineFeed);
}
