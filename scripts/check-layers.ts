/**
 * Checks every import below `src` against the tables in layer-rules.ts (`file → import: reason`).
 * It refuses imports of missing files, import cycles, rules for modules and files that do not
 * exist, and rules that no import needs: the maps of the modules are made from them. It also
 * complains if it read fewer files than exist, or none.
 */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { type Import, type ImportGraph, importRings, readImportGraph } from './import-graph.ts';
import {
  HANDLES,
  INNER_LAYERS,
  type ModuleRule,
  ONLY_IN,
  RULES,
  STARTS_PROCESSES,
  TEST_MODULE,
} from './layer-rules.ts';
import type { Findings, SourceTree } from './source-tree.ts';

export function checkLayers(tree: SourceTree): Findings {
  const graph = readImportGraph(tree);
  const { files, imports, existing } = graph;
  const complaints = [
    ...files
      .filter((file) => moduleOf(file) === undefined)
      .map((file) => `${file}: this folder is no module; add it to scripts/layer-rules.ts`),
    ...imports.flatMap((each) => {
      const reason = reasonAgainst(each);
      return reason === undefined ? [] : [`src/${each.file} → ${each.name}: ${reason}`];
    }),
    ...missingComplaints(graph),
    ...ringComplaints(graph),
    ...ruleComplaints(join(tree.root, 'src')),
    ...unusedComplaints(imports),
  ];
  if (files.length === 0 || files.length < existing)
    complaints.push(`saw ${files.length} of ${existing} files below src`);
  if (imports.length === 0) complaints.push('saw no import at all');
  return { complaints, summary: `${files.length} files, ${imports.length} imports, all downwards` };
}

/** The compiler takes a module that is gone from the last build. */
function missingComplaints({ files, imports }: ImportGraph): string[] {
  const known = new Set(files.map((file) => `#${file.slice(0, -'.ts'.length)}`));
  return imports
    .filter(({ name }) => name.startsWith('#') && !name.startsWith('#wire/gen/') && !known.has(name))
    .map(({ file, name }) => `src/${file} → ${name}: there is no such file`);
}

function reasonAgainst({ file, name, isType }: Import): string | undefined {
  const module = moduleOf(file);
  if (module === undefined) return undefined;
  if (isBuiltin(name) && !name.startsWith('node:'))
    return 'write node: before the names of Node’s own modules';
  if (name.startsWith('.')) {
    if (moduleOf(posix.join(posix.dirname(file), name)) !== module)
      return 'leaves its module; write #module/path instead';
    return name.startsWith('../../')
      ? 'climbs two folders; write #module/path instead'
      : reasonAgainstFolder(module, file, posix.join(posix.dirname(file), name), isType);
  }
  if (isTest(file)) return undefined;
  if (name === 'node:child_process') {
    return Object.keys(STARTS_PROCESSES).some((place) => isWithin(file, place))
      ? undefined
      : 'start processes through git/command, or give a reason in scripts/layer-rules.ts';
  }
  if (name === 'node:http' && !isType && module !== TEST_MODULE)
    return 'loads undici, too; import from #base/node-http, or only types';
  if (isBuiltin(name)) return undefined;
  const rule = RULES[module] ?? { modules: [] };
  return name.startsWith('#')
    ? reasonAgainstModule(rule, file, name.slice(1), isType)
    : reasonAgainstPackage(rule, file, name);
}

function reasonAgainstModule(
  rule: ModuleRule,
  file: string,
  path: string,
  isType: boolean,
): string | undefined {
  const module = moduleOf(file);
  if (moduleOf(path) === module) {
    const isFarUp = posix.relative(posix.dirname(file), path).startsWith('../../');
    return isFarUp || path.startsWith('wire/gen/')
      ? reasonAgainstFolder(module, file, `${path}.ts`, isType)
      : 'in its own module; write a relative path';
  }
  const listed = (modules: readonly string[] = []): boolean =>
    modules.some((each) => path === each || path.startsWith(`${each}/`));
  if (listed(rule.modules) || (isType && listed(rule.types))) return undefined;
  return listed(rule.types)
    ? `${module} may import only types from here: import type`
    : `${module} may not import from here`;
}

/** Refuses imports from a higher folder in a module with {@link INNER_LAYERS}. */
function reasonAgainstFolder(
  module: string | undefined,
  file: string,
  target: string,
  isType: boolean,
): string | undefined {
  const layers = INNER_LAYERS[module ?? ''];
  if (module === undefined || layers === undefined || isTest(file)) return undefined;
  if (isType && HANDLES.includes(target)) return undefined;
  const layerOf = (path: string): number => {
    const folders = path.slice(module.length + 1).split('/');
    return folders.length === 1 ? layers.length : layers.indexOf(folders[0] ?? '');
  };
  if (layerOf(file) === -1 || layerOf(target) === -1)
    return `this folder has no layer in ${module}; add it to scripts/layer-rules.ts`;
  return layerOf(target) > layerOf(file) ? `this folder is higher in ${module}` : undefined;
}

function reasonAgainstPackage(rule: ModuleRule, file: string, name: string): string | undefined {
  const listed = rule.packages?.find((each) => name === each || name.startsWith(`${each}/`));
  if (listed === undefined) return `${moduleOf(file)} may not use this package`;
  const places = ONLY_IN[listed];
  if (places === undefined || places.some((place) => isWithin(file, place))) return undefined;
  return `only ${places.join(', ')} may use this package`;
}

/** Returns every import cycle; imports of types count. */
function ringComplaints(graph: ImportGraph): string[] {
  return importRings(graph).map(([first, ...others]) => {
    const through = others.length === 0 ? 'itself' : others.join(', ');
    return `src/${first}: imports itself through ${through}`;
  });
}

/** Returns rules that name a missing module or file: nothing can violate such a rule. */
function ruleComplaints(src: string): string[] {
  const named = Object.entries(RULES).flatMap(([module, { modules, types = [] }]) => [
    { rule: module, name: module },
    ...[...modules, ...types].map((name) => ({ rule: module, name })),
  ]);
  return [
    ...named
      .filter(({ name }) => !existsSync(join(src, name)) && !existsSync(join(src, `${name}.ts`)))
      .map(({ rule, name }) => `the rule of ${rule} names src/${name}, which does not exist`),
    ...Object.entries(INNER_LAYERS)
      .flatMap(([module, folders]) => folders.map((folder) => `${module}/${folder}`))
      .filter((folder) => !existsSync(join(src, folder)))
      .map((folder) => `scripts/layer-rules.ts names src/${folder}, which does not exist`),
    ...[...Object.values(ONLY_IN).flat(), ...Object.keys(STARTS_PROCESSES), ...HANDLES]
      .filter((place) => !existsSync(join(src, place)))
      .map((place) => `scripts/layer-rules.ts names src/${place}, which does not exist`),
  ];
}

/** Returns the parts of rules that allow more than what is imported. */
function unusedComplaints(imports: readonly Import[]): string[] {
  return Object.entries(RULES).flatMap(([module, { modules, types = [] }]) => {
    const own = imports.filter(({ file }) => moduleOf(file) === module && !isTest(file));
    const values = own.filter(({ isType }) => !isType);
    const needs = (of: readonly Import[], allowed: string): boolean =>
      of.some(({ name }) => name === `#${allowed}` || name.startsWith(`#${allowed}/`));
    return [
      ...modules
        .filter((name) => !needs(values, name))
        .map((name) => `the rule of ${module} allows ${name}, of which it imports no value`),
      ...types
        .filter((name) => !needs(own, name))
        .map((name) => `the rule of ${module} allows types of ${name}, which it does not import`),
    ];
  });
}

function isTest(file: string): boolean {
  return moduleOf(file) === TEST_MODULE || file.endsWith('.test.ts');
}

/** Reports whether a file is `place`, or lies below it if that ends in a slash. */
function isWithin(file: string, place: string): boolean {
  return place.endsWith('/') ? file.startsWith(place) : file === place;
}

/** Returns the module of a path below `src`: `rpc/server/x.ts` → `rpc/server`. */
function moduleOf(path: string): string | undefined {
  return [...Object.keys(RULES), TEST_MODULE].find((module) => path.startsWith(`${module}/`));
}
