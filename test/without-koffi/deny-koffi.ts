/** Makes loading `koffi` fail, as without the package or without a binary for the machine. Preloaded. */
import { registerHooks } from 'node:module';

registerHooks({
  resolve(name, context, next) {
    if (/(^|\/)koffi($|\/)/.test(name)) throw new Error('koffi has no binary here');
    return next(name, context);
  },
});
