import { attempt } from '#base/attempt';
import { type Libc, loadLibc } from './libc.ts';

let trim: Libc['mallocTrim'];
let hasLooked = false;

/**
 * Returns the freed memory of the C library to the system, in a thread: it took a second or two on
 * a busy machine. Resolves to whether there was some; does nothing where that is not possible.
 */
export async function trimMemory(): Promise<boolean> {
  if (!hasLooked) trim = lookUp();
  hasLooked = true;
  return (await trim?.(0)) === 1;
}

function lookUp(): Libc['mallocTrim'] {
  // On failure: no FFI
  return attempt(() => loadLibc().mallocTrim);
}
