import asyncHooks, { type HookCallbacks } from 'node:async_hooks';

/**
 * Makes hooks ignore promises; call it before the first import of `node:test`, which makes its hook
 * from what it finds there. `node:test` follows each promise to the test that has made it, which
 * took an eighth of the CPU time of all tests; an error outside tests fails the file without it,
 * too. Node 24 does not have the option.
 */
export function ignorePromises(): void {
  const { createHook } = asyncHooks;
  asyncHooks.createHook = (options: HookCallbacks) => createHook({ ...options, trackPromises: false });
}
