import { lstatSync, readFileSync } from 'node:fs';
import { systemErrorCode } from '#base/system-error';
import { validateReference } from './validate-reference.ts';

/** What a reference holds: an object id, or the name of another reference. */
export type RawRef =
  | { readonly oid: string; readonly symbolicTarget?: undefined }
  | { readonly oid?: undefined; readonly symbolicTarget: Buffer };

/** A reference file; longer ones are not what git writes. */
const MAX_BYTES = 8 * 1024;

/**
 * Reads the file of a loose reference. `undefined` when there is none (also where a directory has its name); `odd` when it is
 * something that is better left to git: a symbolic link, garbage, a zero id, a target outside `refs/`.
 */
export function readLooseRef(gitDirectory: string, name: Buffer): RawRef | 'odd' | undefined {
  // A path made of bytes is as good as a string for the file system, but only bytes can name everything git can.
  const file = Buffer.concat([Buffer.from(`${gitDirectory}/`), name]);
  try {
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined || stat.isDirectory()) return undefined;
    if (!stat.isFile() || stat.size > MAX_BYTES) return 'odd';
    return parseLooseRef(readFileSync(file));
  } catch (error) {
    // It vanished between two system calls: packed or deleted meanwhile.
    return systemErrorCode(error) === 'ENOENT' ? undefined : 'odd';
  }
}

/** Reads the text of a reference file. */
export function parseLooseRef(data: Buffer): RawRef | 'odd' {
  const text = data.toString('latin1');
  if (text.startsWith('ref:')) {
    const target = text.slice(4).replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
    const symbolicTarget = Buffer.from(target, 'latin1');
    return validateReference(symbolicTarget) === undefined ? { symbolicTarget } : 'odd';
  }
  const oid = /^([0-9a-f]{40}|[0-9a-f]{64})(?:\s|$)/.exec(text)?.[1];
  return oid === undefined || /^0+$/.test(oid) ? 'odd' : { oid };
}
