import { posix } from 'node:path';
import type { Declarations, Origin } from './declarations-in.ts';

type Modules = ReadonlyMap<string, Declarations>;

/** Meaning of a name: a declaration of a module, or a name of a package. */
export interface Target {
  readonly module: string;
  readonly name: string;
  /** False for what has a value, too. */
  readonly isType: boolean;
}

export function targetKey({ module, name }: Pick<Target, 'module' | 'name'>): string {
  return `${module} ${name}`;
}

/** Returns the path of a module below the compiled folder, without its ending; or a package. */
export function moduleOf(source: string, importer: string): string {
  if (source.startsWith('#')) return source.slice(1);
  if (!source.startsWith('.')) return source;
  return posix.join(posix.dirname(importer), source).replace(/\.(?:js|ts)$/, '');
}

/** Returns the meaning of a name in a module; `undefined` for a global or a type parameter. */
export function targetOf(modules: Modules, module: string, to: string | Origin): Target | undefined {
  if (typeof to !== 'string') return exportedBy(modules, moduleOf(to.source, module), to.name);
  const { declarations = [], imports } = modules.get(module) ?? {};
  const declaration = declarations.find(({ name }) => name === to);
  if (declaration !== undefined) return { module, name: to, isType: declaration.isType };
  const origin = imports?.get(to);
  return origin && targetOf(modules, module, origin);
}

function exportedBy(modules: Modules, module: string, name: string): Target {
  const found = modules.get(module);
  if (found === undefined) return { module, name, isType: false }; // of a package
  const target = exportsOf(modules, module).get(name);
  if (target === undefined) throw new Error(`${module} does not export ${name}`);
  return target;
}

/** Returns all that a module exports. */
export function exportsOf(modules: Modules, module: string): ReadonlyMap<string, Target> {
  const { declarations = [], exports = [], stars = [] } = modules.get(module) ?? {};
  const all = new Map<string, Target>();
  for (const source of stars)
    for (const [name, target] of exportsOf(modules, moduleOf(source, module))) all.set(name, target);
  for (const [name, { to, isType }] of exports) {
    const target = targetOf(modules, module, to);
    if (target !== undefined) all.set(name, { ...target, isType: isType || target.isType });
  }
  for (const { name, isType, isExported } of declarations)
    if (isExported) all.set(name, { module, name, isType });
  return all;
}
