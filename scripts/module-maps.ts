/** The maps of the modules, as the rules for imports have them: for READMEs and ARCHITECTURE.md. */
import { INNER_LAYERS, type ModuleRule, ONLY_IN, RULES, TEST_MODULE } from './layer-rules.ts';
import { MAX_TEXT_COLUMNS } from './word-list.ts';

const BEGIN = '<!-- Generated from scripts/layer-rules.ts by `npm run gen`. -->';
const END = '<!-- End of the generated part. -->';

/** Returns a page with another generated part; `undefined` if the page has no place for one. */
export function withGenerated(page: string, part: readonly string[]): string | undefined {
  const begin = page.indexOf(`${BEGIN}\n`);
  const end = page.indexOf(`${END}\n`);
  if (begin === -1 || end < begin) return undefined;
  return [page.slice(0, begin), [BEGIN, '', ...part, '', page.slice(end)].join('\n')].join('');
}

/** Returns the list of what a folder of `src` may import, and of the modules that import from it. */
export function importList(folder: string): string[] {
  if (folder === TEST_MODULE) return ['- may import: everything', '- imported by: tests'];
  const own = Object.keys(RULES).filter((module) => isWithin(module, folder));
  return [
    ...own.flatMap((module) => {
      const { modules, types = [], packages = [] } = RULES[module] ?? { modules: [] };
      return [
        ...item(own.length > 1 ? `\`${module}\` may import` : 'may import', modules.map(asCode), 'nothing'),
        ...item('types only', types.map(asCode)),
        ...item(
          'packages',
          packages.map((name) => packageText(name, module)),
        ),
      ];
    }),
    ...item('its folders, the lowest first', (INNER_LAYERS[folder] ?? []).map(asCode)),
    ...item('imported by', importersOf(folder).map(asCode), 'none'),
  ];
}

/** Returns a line for each module with what it may import, the highest modules first. */
export function importDiagram(rules: Readonly<Record<string, ModuleRule>> = RULES): string[] {
  const ranks = ranksOf(rules);
  const modules = Object.keys(rules).sort(
    (one, other) => (ranks.get(other) ?? 0) - (ranks.get(one) ?? 0) || (one < other ? -1 : 1),
  );
  const width = Math.max(...modules.map((module) => module.length));
  return modules.flatMap((module) => {
    const { modules: values, types = [] } = rules[module] ?? { modules: [] };
    const targets = modules.flatMap((target) => [
      ...grouped(values, target, modules),
      ...grouped(types, target, modules).map((name) => `(${name})`),
    ]);
    const head = `${module.padEnd(width)} ${targets.length > 0 ? '─► ' : ''}`;
    return wrapped(targets.join(', '), head, ' '.repeat(head.length)).map((line) => line.trimEnd());
  });
}

function item(title: string, values: readonly string[], none?: string): string[] {
  if (values.length === 0 && none === undefined) return [];
  return wrapped(values.join(', ') || (none ?? ''), `- ${title}: `, '  ');
}

/** Breaks a text at its spaces. */
function wrapped(text: string, head: string, indent: string): string[] {
  const lines: string[] = [];
  let line = head;
  for (const word of text.split(' ')) {
    const start = lines.length === 0 ? head : indent;
    if (line !== start && [...line, ...word].length + 1 > MAX_TEXT_COLUMNS) {
      lines.push(line);
      line = indent + word;
    } else line += line === start ? word : ` ${word}`;
  }
  return [...lines, line];
}

function asCode(name: string): string {
  return `\`${name}\``;
}

function packageText(name: string, module: string): string {
  const places = ONLY_IN[name]?.filter((place) => isWithin(place, module));
  return places === undefined ? asCode(name) : `${asCode(name)} (in ${places.map(asCode).join(', ')})`;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** Returns the modules outside of a folder whose rules name it, or a part of it. */
function importersOf(folder: string): string[] {
  const names = ({ modules, types = [] }: ModuleRule): boolean =>
    [...modules, ...types].some((name) => isWithin(name, folder));
  return Object.entries(RULES)
    .filter(([module, rule]) => !isWithin(module, folder) && names(rule))
    .map(([module]) => module);
}

/** Returns the allowed parts of one module as one name: `domain/{backup, hooks/payload}`. */
function grouped(names: readonly string[], target: string, modules: readonly string[]): string[] {
  const ofTarget = names.filter((name) => ownerOf(name, modules) === target);
  if (ofTarget.length < 2) return ofTarget;
  return [`${target}/{${ofTarget.map((name) => name.slice(target.length + 1)).join(', ')}}`];
}

/** Returns the module of an allowed name, which may be one file of it. */
function ownerOf(name: string, modules: readonly string[]): string | undefined {
  return modules
    .filter((module) => isWithin(name, module))
    .sort((one, other) => other.length - one.length)[0];
}

/** Returns the length of the longest way of imports from each module. */
function ranksOf(rules: Readonly<Record<string, ModuleRule>>): Map<string, number> {
  const ranks = new Map<string, number>();
  const modules = Object.keys(rules);
  const rankOf = (module: string, way: readonly string[]): number => {
    if (way.includes(module)) throw new Error(`the rules have a cycle: ${[...way, module].join(' → ')}`);
    const known = ranks.get(module);
    if (known !== undefined) return known;
    const { modules: values, types = [] } = rules[module] ?? { modules: [] };
    const targets = [...values, ...types].map((name) => ownerOf(name, modules) ?? name);
    const rank = Math.max(0, ...targets.map((target) => 1 + rankOf(target, [...way, module])));
    ranks.set(module, rank);
    return rank;
  };
  for (const module of modules) rankOf(module, []);
  return ranks;
}
