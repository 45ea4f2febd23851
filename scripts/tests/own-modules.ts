// Resolves the imports between the modules of this project, for processes that load the sources:
// the server has a thousand of them, and Node's own way takes two fifths of the CPU time of loading
// them. The results are those of `imports` in package.json with the condition `source`.

import { registerHooks } from 'node:module';

const ROOT = new URL('../../', import.meta.url).href;
const GENERATED = '#wire/gen/';

registerHooks({
  resolve(specifier, context, nextResolve) {
    const { parentURL } = context;
    if (!parentURL?.startsWith(ROOT) || parentURL.includes('/node_modules/'))
      return nextResolve(specifier, context);
    if (specifier.startsWith(GENERATED))
      return { url: `${ROOT}src/${specifier.slice(1)}.js`, format: 'module', shortCircuit: true };
    if (specifier.startsWith('#'))
      return { url: `${ROOT}src/${specifier.slice(1)}.ts`, format: 'module-typescript', shortCircuit: true };
    if (specifier.startsWith('.') && specifier.endsWith('.ts'))
      return { url: new URL(specifier, parentURL).href, format: 'module-typescript', shortCircuit: true };
    return nextResolve(specifier, context);
  },
});
