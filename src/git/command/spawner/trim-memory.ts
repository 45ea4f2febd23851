import { type Libc, loadLibc } from './libc.ts';

let trim: Libc['mallocTrim'];
let hasLooked = false;

/**
 * Returns the freed memory of the C library to the system. Does nothing where that is not possible.
 */
export function trimMemory(): void {
  if (!hasLooked) trim = lookUp();
  hasLooked = true;
  trim?.(0);
}

function lookUp(): Libc['mallocTrim'] {
  try {
    return loadLibc().mallocTrim;
  } catch {
    return undefined; // no FFI
  }
}
