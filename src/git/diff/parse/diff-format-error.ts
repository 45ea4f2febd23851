/**
 * git's output does not have the requested diff format (a setting of the repository can cause
 * this).
 */
export class DiffFormatError extends Error {
  override readonly name = 'DiffFormatError';
}
