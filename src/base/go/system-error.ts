import util from 'node:util'; // see check-node.ts
import { isError } from '../is-error.ts';

/**
 * Texts of the C library where libuv's differ; clients and operators know the former from other
 * programs.
 */
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

/** Returns the code of a failed system call (`ENOENT`); `undefined` for any other error. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!isError(error) || !('code' in error) || !('errno' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Returns the C library's words for a failed system call (`no such file or directory`), which are
 * Go's too; for any other error its own message.
 */
export function systemErrorText(error: unknown): string {
  const code = systemErrorCode(error);
  if (code === undefined) return isError(error) ? error.message : String(error);
  const words = WORDS[code];
  if (words !== undefined) return words;
  if (!isError(error) || !('errno' in error) || typeof error.errno !== 'number' || error.errno === 0)
    return code;
  // Errors that Node makes itself, such as those of `rm`, have the number without its sign.
  const errno = -Math.abs(error.errno);
  return WORDS[util.getSystemErrorName(errno)] ?? util.getSystemErrorMessage(errno);
}

/**
 * Returns the message of a failed system call in Go's form (`open /x: no such file or directory`,
 * `rename /x /y: file exists`, `dial unix /x: connect: connection refused`); `undefined` for any
 * other error.
 */
export function systemErrorMessage(error: unknown): string | undefined {
  const code = systemErrorCode(error);
  if (code === undefined || !isError(error)) return undefined;
  const text = systemErrorText(error);
  const call = 'syscall' in error ? String(error.syscall) : '';
  if ('address' in error) {
    const where = 'port' in error ? `tcp ${error.address}:${error.port}` : `unix ${error.address}`;
    return `dial ${where}: ${call}: ${text}`;
  }
  const words = [call, 'path' in error ? error.path : '', 'dest' in error ? error.dest : ''];
  const subject = words.filter((word) => word !== '').join(' ');
  return subject === '' ? text : `${subject}: ${text}`;
}
