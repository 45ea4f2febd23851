/**
 * Makes the check of reference names slow, by the search part of this module's address: an
 * expression that the check applies in addition. Preloaded.
 */
import { registerHooks } from 'node:module';

const CHECK = "if (text.startsWith('refs/')";
const { searchParams } = new URL(import.meta.url);

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/git/refs/validate-reference.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(CHECK)) throw new Error(`${url} has no ${CHECK}`);
    return {
      ...loaded,
      source: source.replace(CHECK, `/${searchParams.get('expression')}/.test(text);\n${CHECK}`),
    };
  },
});
