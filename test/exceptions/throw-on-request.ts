import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Loaded into a server before its own code: throws where nothing catches. */

/** In the path of a repository: looking at it throws a little later, in the call that looks. */
export const THROWS_LATER = 'throws-later';
/** In the path of a repository: looking at it throws at once. */
export const THROWS_NOW = 'throws-now';

/** The kinds of exceptions that a test can request; each is thrown outside of any call. */
export type Request = 'throw' | 'reject' | 'lost connection';

let hasThrown = false;
const { statSync } = fs;
fs.statSync = ((path: fs.PathLike, ...rest: never[]) => {
  if (String(path).includes(THROWS_NOW)) throw new TypeError('thrown now');
  if (String(path).includes(THROWS_LATER) && !hasThrown) {
    hasThrown = true;
    queueMicrotask(() => {
      throw new Error('thrown later');
    });
  }
  return statSync(path, ...rest);
}) as typeof fs.statSync; // the overloads differ in what they return, which is passed on as it is
syncBuiltinESMExports();

process.on('message', ({ request }: { request: Request }) => {
  process.send?.('ok');
  if (request === 'reject') void Promise.reject(new Error('rejected'));
  else if (request === 'lost connection')
    throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: -32, syscall: 'write' });
  else throw new Error('thrown outside');
});
process.channel?.unref();
