import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { TarEntry } from '#base/tar/read-tar';

/** Failures of system calls that are due to the entries of an archive. */
const FAULTS: ReadonlySet<string | undefined> = new Set(
  'EEXIST,EISDIR,ELOOP,ENAMETOOLONG,ENOENT,ENOTDIR,EPERM'.split(','),
);

/** Returns an error of an entry; INVALID_ARGUMENT where the program tar finds the archive wrong. */
export function asArchiveFault(error: unknown, { name }: TarEntry): unknown {
  if (!FAULTS.has(systemErrorCode(error))) return error;
  const message = `cannot unpack ${quote(name)}: ${systemErrorText(error)}`;
  return new GitalyError('INVALID_ARGUMENT', message, { cause: error });
}
