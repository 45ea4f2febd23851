import { Format } from 'typebox/format';

/** As in git. @see git: PATH_MAX */
const MAX_PATH_LENGTH = 4096;
export const PATH_FORMAT = 'git-path';
export const BRANCH_FORMAT = 'git-branch';

/** File systems have 255; `.lock` is added. */
const MAX_SEGMENT_BYTES = 250;
const GIT_DIRECTORY = /^\.git$/i;
/** Characters that no reference has. @see git-check-ref-format(1) */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const NOT_IN_NAMES = /[\x00-\x20~^:?*[\\\x7f]|\.\.|@\{/;

/** Reports whether a text is the path of a file or directory in a tree. */
export function isGitPath(path: string): boolean {
  if (path.length > MAX_PATH_LENGTH) return false;
  return path
    .split('/')
    .every(
      (segment) =>
        segment !== '' &&
        segment !== '.' &&
        segment !== '..' &&
        !segment.includes('\0') &&
        !GIT_DIRECTORY.test(segment),
    );
}

/** Reports whether a text can be the name of a branch or tag. */
export function isBranchName(name: string): boolean {
  if (NOT_IN_NAMES.test(name) || name.startsWith('-') || name.endsWith('.') || name === 'HEAD') return false;
  return name.split('/').every((segment) => {
    const isFit = segment !== '' && !segment.startsWith('.') && !segment.endsWith('.lock');
    return isFit && Buffer.byteLength(segment) <= MAX_SEGMENT_BYTES;
  });
}

Format.Set(PATH_FORMAT, isGitPath);
Format.Set(BRANCH_FORMAT, isBranchName);
