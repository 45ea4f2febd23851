import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reachable } from '../packages/reachable.ts';
import { type Declarations, declarationsIn, type Origin } from './declarations-in.ts';
import { exportsOf, moduleOf, type Target, targetKey, targetOf } from './name-targets.ts';

/** Name of the file with what several entry points use, without its ending. */
const COMMON = 'common';

/** A file to write. */
interface Joined {
  readonly name: string;
  /** Module of the entry point; `undefined` for {@link COMMON}. */
  readonly entry: string | undefined;
  readonly modules: readonly string[];
  /** Every name at the top of the file. */
  readonly taken: Set<string>;
  /** Statements `import` and `export … from`: the names by what is in front of them and the source. */
  readonly links: Map<string, Set<string>>;
}

interface Plan {
  readonly modules: ReadonlyMap<string, Declarations>;
  readonly fileOf: ReadonlyMap<string, string>;
  /** Names of declarations in their files, by {@link targetKey}. */
  readonly names: Map<string, string>;
}

/**
 * Joins the declarations behind the entry points of a package: one file for each in `entry/`,
 * and `common` for what several of them use. A small file takes a whole block of the disk.
 * Comments stay.
 *
 * @param entries module of each entry point, without its ending. A module of which one exports
 *   everything is joined there.
 */
export function joinDeclarations(dist: string, entries: Readonly<Record<string, string>>): void {
  const modules = new Map<string, Declarations>();
  for (const path of reachable(
    dist,
    Object.values(entries).map((module) => `${module}.d.ts`),
  ).files)
    modules.set(path.replace(/\.d\.ts$/, ''), declarationsIn(readFileSync(join(dist, path), 'utf8'), path));
  const plan: Plan = { modules, fileOf: filesOf(dist, entries, modules), names: new Map() };
  const files = [...Object.keys(entries), COMMON].map((name): Joined => {
    const own = [...modules.keys()].filter((module) => plan.fileOf.get(module) === name);
    const taken = new Set<string>();
    return { name, entry: entries[name], modules: own, taken, links: new Map() };
  });
  for (const file of files) nameDeclarations(file, plan);
  const texts = files.map((file) => declarationText(file, plan));
  mkdirSync(join(dist, 'entry'), { recursive: true });
  for (const [index, { name }] of files.entries())
    writeFileSync(join(dist, 'entry', `${name}.d.ts`), texts[index] ?? '');
}

/** Returns the file of each module. */
function filesOf(
  dist: string,
  entries: Readonly<Record<string, string>>,
  modules: ReadonlyMap<string, Declarations>,
): ReadonlyMap<string, string> {
  const users = new Map<string, string[]>();
  for (const [name, entry] of Object.entries(entries))
    for (const path of reachable(dist, [`${entry}.d.ts`]).files) {
      const module = path.replace(/\.d\.ts$/, '');
      users.set(module, [...(users.get(module) ?? []), name]);
    }
  const files = new Map<string, string>();
  for (const [module, [first = COMMON, ...others]] of users)
    files.set(module, others.length > 0 ? COMMON : first);
  for (const [name, entry] of Object.entries(entries))
    for (const module of [
      entry,
      ...(modules.get(entry)?.stars ?? []).map((source) => moduleOf(source, entry)),
    ])
      files.set(module, name);
  return files;
}

/** Gives every declaration of a file a separate name. */
function nameDeclarations({ modules: own, taken }: Joined, { modules, names }: Plan): void {
  for (const module of own)
    for (const { to } of modules.get(module)?.references ?? [])
      if (targetOf(modules, module, to) === undefined && typeof to === 'string') taken.add(to); // a global
  for (const module of own)
    for (const { name } of modules.get(module)?.declarations ?? [])
      names.set(targetKey({ module, name }), take(taken, name));
}

/** Returns a name, or if it is taken or hidden, the name with the first free number. */
function take(taken: Set<string>, name: string, hidden: ReadonlySet<string> = new Set()): string {
  let free = name;
  for (let number = 1; taken.has(free) || hidden.has(free); number++) free = `${name}$${number}`;
  taken.add(free);
  return free;
}

function declarationText(file: Joined, plan: Plan): string {
  const imported = new Map<string, string>();
  const exported = file.entry === undefined ? undefined : linkExports(file, file.entry, plan);
  const statements = file.modules.flatMap((module) => {
    const { declarations = [], references = [], text = '' } = plan.modules.get(module) ?? {};
    return declarations.map(({ name, isExported, comment, start, end }) => {
      const isPublic = exported === undefined ? isExported : exported.has(targetKey({ module, name }));
      let code = '';
      let at = start;
      for (const { to, ...reference } of references) {
        if (reference.start < at || reference.end > end) continue;
        code += text.slice(at, reference.start) + localName(file, plan, { module, to, imported });
        at = reference.end;
      }
      return `${comment}${isPublic ? 'export ' : ''}${code}${text.slice(at, end)}\n`;
    });
  });
  const links = [...file.links].map(([link, names]) => link.replace('{}', `{ ${[...names].join(', ')} }`));
  const header = file.entry === undefined ? '' : (plan.modules.get(file.entry)?.header ?? '');
  return `${header}${links.map((link) => `${link}\n`).join('')}export {};\n${statements.join('')}`;
}

/** Links what an entry point exports from elsewhere; returns the declarations exported in place. */
function linkExports(file: Joined, entry: string, { modules, fileOf, names }: Plan): ReadonlySet<string> {
  const inPlace = new Set<string>();
  for (const [name, target] of exportsOf(modules, entry)) {
    const key = targetKey(target);
    const own = names.get(key) ?? target.name;
    const home = fileOf.get(target.module);
    const renamed = own === name ? name : `${own} as ${name}`;
    if (home === file.name && own === name) inPlace.add(key);
    else link(file, `export {}${home === file.name ? '' : from(target, home)};`, target.isType, renamed);
  }
  return inPlace;
}

/** Returns the name that a reference has in a file, and imports it if it is of another one. */
function localName(
  file: Joined,
  { modules, fileOf, names }: Plan,
  { module, to, imported }: { module: string; to: string | Origin; imported: Map<string, string> },
): string {
  const target = targetOf(modules, module, to);
  if (target === undefined) return String(to);
  const key = targetKey(target);
  const own = names.get(key) ?? target.name;
  const home = fileOf.get(target.module);
  let local = home === file.name ? own : imported.get(key);
  if (local === undefined) {
    const hidden = file.modules.flatMap((each) => [...(modules.get(each)?.parameters ?? [])]);
    local = take(file.taken, own, new Set(hidden));
    imported.set(key, local);
    link(file, `import type {}${from(target, home)};`, false, own === local ? own : `${own} as ${local}`);
  }
  if (local !== to && modules.get(module)?.parameters.has(local))
    throw new Error(`${module}: a type parameter has the name ${local}`);
  return local;
}

function from({ module }: Target, home: string | undefined): string {
  return ` from '${home === undefined ? module : `./${home}.js`}'`;
}

function link({ links }: Joined, statement: string, isType: boolean, name: string): void {
  const names = links.get(statement) ?? new Set();
  links.set(statement, names.add(isType ? `type ${name}` : name));
}
