import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { CallOptions } from '../call/call-types.ts';
import type { Place } from './place.ts';
import { type TextOrBytes, toBytes } from './values.ts';

export interface ExpireOptions extends CallOptions {
  /** Full name of a reference that exists. Default: the repository. */
  readonly reference?: TextOrBytes;
}

/** Sets or removes the end of a repository or reference. @returns the end. */
export async function expire(
  { connection, repository: { storageName = '', relativePath = '' } }: Place,
  seconds: number | undefined,
  { reference, ...options }: ExpireOptions = {},
): Promise<Date | undefined> {
  const { expiresAt } = await connection.lifetimes.set(
    {
      storageName,
      relativePath,
      reference: reference === undefined ? Buffer.alloc(0) : toBytes(reference),
      ...(seconds !== undefined && { lifetime: { seconds: BigInt(Math.ceil(seconds)) } }),
    },
    options,
  );
  return expiresAt && timestampDate(expiresAt);
}
