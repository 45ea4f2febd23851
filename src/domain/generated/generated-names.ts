/** Extensions of files that only programs write. */
const EXTENSIONS: ReadonlySet<string> = new Set(['.nib', '.xcworkspacedata', '.xcuserstate']);

/** Ends of paths: lock files and files of package managers. No slash is required before them. */
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

/** Parts that may be anywhere in a path. */
const PARTS = ['node_modules/', 'Godeps/', '__generated__/'] as const;

const PATTERNS = [
  // Whole directories.
  /(?:^|\/)(?:\.idea|Pods|Carthage\/Build|htmlcov)\//,
  // Vendored Go modules: a domain below `vendor/`.
  /vendor\/(?:[-0-9A-Za-z]+\.)+(?:com|edu|gov|in|me|net|org|fm|io)/,
  // Files of an exact name.
  /(?:^|\/)(?:flake\.lock|MODULE\.bazel\.lock|\.terraform\.lock\.hcl)$/,
  // `esy.lock` and `<name>.esy.lock`; the dot before `lock` matches any character, as in the
  // original.
  /(?:^|\/)(?:\w+\.)?esy[^\n]lock$/,
  // .NET designer and SpecFlow files, Delphi type libraries.
  /(?:\.designer\.(?:cs|vb)|\.feature\.cs|_tlb\.pas)$/i,
  // Zephir.
  /[^\n]\.zep\.(?:c|h|php)$/,
] as const;

/**
 * Reports whether a file's path alone shows that it is generated.
 *
 * @param extension extension of the path, in lower case, with its dot.
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

/** Reports whether a path has `.pnp.*` of Yarn at the start of any part. */
function isPlugAndPlay(path: string): boolean {
  return /(?:^|\/)\.pnp\./.test(lastLine(path));
}

/**
 * Reports whether a path is `.sqlx/query-<something>.json`, without a pattern that would backtrack
 * on a long path.
 */
function isSqlxQuery(path: string): boolean {
  if (!path.endsWith('.json')) return false;
  const line = lastLine(path);
  const start = /(?:^|\/)\.sqlx\/query-/.exec(line);
  return start !== null && line.length - start.index - start[0].length > '.json'.length;
}

/**
 * Returns the part of a path whose end a pattern without line feeds can match, including the
 * preceding line feed.
 */
function lastLine(path: string): string {
  const lineFeed = path.lastIndexOf('\n');
  return lineFeed === -1 ? path : path.slice(lineFeed);
}
