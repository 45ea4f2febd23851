import { invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { TarEntry } from '#base/tar/read-tar';

/** Codes of system calls that fail because of an archive's entries. */
const FAULTS: ReadonlySet<string | undefined> = new Set(
  'EEXIST,EISDIR,ELOOP,ENAMETOOLONG,ENOENT,ENOTDIR,EPERM'.split(','),
);

/**
 * Returns the error of an entry; it is INVALID_ARGUMENT where the program tar rejects the archive.
 */
export function asArchiveFault(error: unknown, { name }: TarEntry): unknown {
  if (!FAULTS.has(systemErrorCode(error))) return error;
  const message = `cannot unpack ${quote(name)}: ${systemErrorText(error)}`;
  return invalidArgument(message, { cause: error });
}
