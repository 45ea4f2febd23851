/**
 * Writes the generated parts of the modules' READMEs and of ARCHITECTURE.md: what each module may
 * import. It refuses a module without a README, a README that lacks a folder of its module or the
 * command of its tests, and one that is longer than a screen.
 *
 *   node scripts/generate-module-maps.ts [ROOT]            writes the files
 *   node scripts/generate-module-maps.ts --check [ROOT]    compares only
 */
import { existsSync, globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { importDiagram, importList, withGenerated } from './module-maps.ts';
import { MAX_README_LINES } from './size-limits.ts';

const isCheck = process.argv.includes('--check');
const [rootArgument] = process.argv.slice(2).filter((arg) => arg !== '--check');
const root = resolve(rootArgument ?? join(import.meta.dirname, '..'));
const src = join(root, 'src');
const modules = foldersIn(src);

const complaints = [
  ...modules.flatMap((module) => [
    ...generate(`src/${module}/README.md`, importList(module)),
    ...problemsOf(module),
  ]),
  ...generate('ARCHITECTURE.md', ['```', ...importDiagram(), '```']),
  ...unlinked(),
];
if (modules.length === 0) complaints.push('saw no module');
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;

/** Writes the generated part of a page; returns why that is not possible, or what differs. */
function generate(page: string, part: readonly string[]): string[] {
  const path = join(root, page);
  if (!existsSync(path)) return [`${page} does not exist: each module has a README`];
  const text = readFileSync(path, 'utf8');
  const expected = withGenerated(text, part);
  if (expected === undefined) return [`${page} has no place for the generated part`];
  if (expected === text) return [];
  if (isCheck) return [`${page} does not agree with scripts/layer-rules.ts: run "npm run gen"`];
  writeFileSync(path, expected);
  return [];
}

/** Returns what is missing in the text of a README, or too much. */
function problemsOf(module: string): string[] {
  const page = `src/${module}/README.md`;
  if (!existsSync(join(root, page))) return [];
  const text = readFileSync(join(root, page), 'utf8');
  const lines = text.split('\n').length - 1;
  const tested = [...text.matchAll(/make test MODULE=([\w/-]+)/g)].map(([, folder = '']) => folder);
  const hasTests = globSync('**/*.test.ts', { cwd: join(src, module) }).length > 0;
  return [
    ...foldersIn(join(src, module))
      .filter((folder) => !text.includes(`\`${folder}/\``) && !text.includes(`](${folder}/`))
      .map((folder) => `${page} lacks the folder \`${folder}/\``),
    ...tested
      .filter((folder) => !existsSync(join(src, folder)))
      .map((folder) => `${page} names src/${folder}, which does not exist`),
    ...(hasTests && tested.length === 0 ? [`${page} lacks the command \`make test MODULE=${module}\``] : []),
    ...(lines > MAX_README_LINES ? [`${page} has ${lines} lines; the limit is ${MAX_README_LINES}`] : []),
  ];
}

/** Returns the modules to which ARCHITECTURE.md has no link. */
function unlinked(): string[] {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  return modules
    .filter((module) => !text.includes(`](src/${module}/README.md)`))
    .map((module) => `ARCHITECTURE.md lacks a link to src/${module}/README.md`);
}

function foldersIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}
