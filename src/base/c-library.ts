import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import type Koffi from 'koffi';
import { messageOf } from './gitaly-error.ts';

/** The C library that the running program is linked with, by FFI. */
export interface CLibrary {
  /**
   * Returns a function by its C prototype. `Buffer` and typed arrays are passed as pointers to our
   * memory. @throws when the library lacks it.
   */
  find<F extends (...args: never[]) => number>(prototype: string): F;
  /** Returns a function that is called in a thread of the pool, for calls that may wait for a disk. */
  findAsync<A extends unknown[]>(prototype: string): (...args: A) => Promise<number>;
  /** Returns the address of a buffer's memory, which is constant while the buffer lives. */
  addressOf(memory: Buffer): bigint;
}

/**
 * Loads koffi, an optional package, and opens the C library. It is loaded here and not at the start
 * of the file: without a binary or an installation only this function fails, and callers use a
 * fallback.
 *
 * @throws {Error} that names koffi as the cause.
 */
export function loadCLibrary(): CLibrary {
  const koffi = requireKoffi();
  const library = koffi.load(null);
  return {
    // The prototypes are the C library's; koffi checks the arguments of every call against them.
    find: <F extends (...args: never[]) => number>(prototype: string): F =>
      library.func(prototype) as unknown as F,
    findAsync: <A extends unknown[]>(prototype: string) =>
      promisify(library.func(prototype).async) as unknown as (...args: A) => Promise<number>,
    addressOf: (memory) => koffi.address(memory),
  };
}

function requireKoffi(): typeof Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as typeof Koffi; // the package exports this type
  } catch (error) {
    const [reason] = messageOf(error).split('\n', 1); // the list of requiring files follows
    throw new Error(`the optional package koffi cannot be loaded: ${reason}`, { cause: error });
  }
}
