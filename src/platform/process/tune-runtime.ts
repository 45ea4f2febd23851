import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

/**
 * Adjusts Node to a server that passes bytes on. Call it first, before the server's code is loaded.
 *
 * - The young generation of the heap stays at its first size (1 MiB). Left alone it grows to 16 MiB and is then collected so seldom
 *   that the buffers of passing bytes, which are outside of the heap, pile up until a full collection is forced. A clone through the
 *   HTTP door costs a third of the CPU this way, and an idle server 25 MB less memory; calls that read one thing are as fast.
 * - Compiled code is kept in `dist/` for the next start, where that directory can be written to.
 */
export function tuneRuntime(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  // Sources are run by developers and tests, who want no files beside them.
  if (import.meta.filename.endsWith('.js')) enableCompileCache(join(import.meta.dirname, '../../.compile-cache'));
}
