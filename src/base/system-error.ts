import { getSystemErrorMessage } from 'node:util';

/** Where libuv's words differ from those of the C library, which clients and operators know from other programs. */
const WORDS: Readonly<Record<string, string>> = {
  EEXIST: 'file exists',
  EINVAL: 'invalid argument',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
  EXDEV: 'invalid cross-device link',
};

/** The code of a failed system call (`ENOENT`), `undefined` for any other error. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('errno' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The C library's words for a failed system call (`no such file or directory`); for any other error its own message. */
export function systemErrorText(error: unknown): string {
  const code = systemErrorCode(error);
  if (code === undefined) return error instanceof Error ? error.message : String(error);
  const words = WORDS[code];
  if (words !== undefined) return words;
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number'
    ? getSystemErrorMessage(error.errno)
    : code;
}
