/**
 * Writes the reference pages of the package's entry points: all exports, with their declarations
 * and doc comments.
 *
 * node scripts/generate-client-reference.ts writes the files
 * node scripts/generate-client-reference.ts --check compares only; exit 1 when it would change
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

interface Page {
  readonly file: string;
  readonly entries: readonly { readonly title: string; readonly index: string }[];
}

const PAGES: readonly Page[] = [
  {
    file: 'docs/client/reference.md',
    entries: [
      { title: 'gitaly-ts/client', index: 'src/client/index.ts' },
      { title: 'gitaly-ts/client/rails', index: 'src/client/rails/index.ts' },
      { title: 'gitaly-ts/client/repository', index: 'src/client/repository/index.ts' },
    ],
  },
  {
    file: 'docs/embedding-reference.md',
    entries: [{ title: 'gitaly-ts', index: 'src/gitaly/index.ts' }],
  },
  {
    file: 'docs/gateway-reference.md',
    entries: [{ title: 'gitaly-ts/gateway', index: 'src/gateway/index.ts' }],
  },
  {
    file: 'docs/testing-reference.md',
    entries: [{ title: 'gitaly-ts/testing', index: 'src/testkit/index.ts' }],
  },
];

interface Declaration {
  readonly name: string;
  readonly doc: string;
  /** TypeScript without bodies. */
  readonly shape: string;
}

/** Matches a member of a class that is not private. */
const MEMBER = /^ {2}(?:static |async |readonly |override |get |\*)*(?:[a-zA-Z]\w*|\[Symbol\.\w+\])[(<:?]/;
/** Matches constructors that only the library calls. */
const HIDDEN_CONSTRUCTOR = /^ {2}constructor\((?:error|parts|problem)\b/;

/** Returns the names that an index re-exports, with the file that declares each. */
function exportsOf(index: string): { name: string; file: string }[] {
  const text = readFileSync(join(ROOT, index), 'utf8');
  return [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';$/gm)].flatMap(
    ([, names = '', from = '']) => {
      const file = from.startsWith('#') ? `src/${from.slice(1)}.ts` : join(index, '..', from);
      return names
        .split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter((name) => name !== '')
        .map((name) => ({ name, file }));
    },
  );
}

/** Reads one declaration. The formatter puts the end of every declaration at the margin. */
function declarationOf({ name, file }: { name: string; file: string }): Declaration {
  const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
  const start = lines.findIndex((line) =>
    new RegExp(`^export (async )?(function\\*?|class|interface|type|const) ${name}\\b`).test(line),
  );
  if (start === -1) throw new Error(`${file} does not declare ${name}`);
  const [, kind = ''] = /^export (?:async )?(\w+)/.exec(lines[start] ?? '') ?? [];
  return { name, doc: docBefore(lines, start), shape: shapeOf(lines, start, kind) };
}

/** Returns the doc comment that ends in the line before. */
function docBefore(lines: readonly string[], at: number): string {
  if (!lines[at - 1]?.trimEnd().endsWith('*/')) return '';
  let start = at - 1;
  while (!lines[start]?.trimStart().startsWith('/**')) start--;
  return lines
    .slice(start, at)
    .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*)\s?/, '').replace(/\s*\*\/$/, ''))
    .join('\n')
    .trim();
}

function shapeOf(lines: readonly string[], start: number, kind: string): string {
  return shapeText(lines, start, kind)
    .replace(/^export (?:async )?/, '')
    .replace('function*', 'function');
}

function shapeText(lines: readonly string[], start: number, kind: string): string {
  if (kind === 'class') return classShape(lines, start);
  return kind === 'function' ? headFrom(lines, start, '') : wholeFrom(lines, start);
}

/**
 * Returns a declaration to its end: the line at the margin that closes the first one, or else the
 * first semicolon.
 */
function wholeFrom(lines: readonly string[], start: number): string {
  const first = lines[start] ?? '';
  const end = /[{(]$/.test(first) ? /^\S/ : /;$/;
  const last = first.endsWith(';')
    ? start
    : lines.findIndex((line, index) => index > start && end.test(line));
  return lines.slice(start, last + 1).join('\n');
}

/** Returns a signature up to the brace that opens its body. */
function headFrom(lines: readonly string[], start: number, indent: string): string {
  const last = lines.findIndex(
    (line, index) =>
      index >= start && / \{$/.test(line) && (index === start || line.startsWith(`${indent})`)),
  );
  return lines
    .slice(start, last + 1)
    .map((line) => line.slice(indent.length))
    .join('\n')
    .replace(/ \{$/, ';');
}

/** Returns the public members of a class, with their doc comments. */
function classShape(lines: readonly string[], start: number): string {
  const end = lines.findIndex((line, index) => index > start && line === '}');
  const members = lines.flatMap((line, index) => {
    const isMember = index > start && index < end && MEMBER.test(line) && !HIDDEN_CONSTRUCTOR.test(line);
    return isMember ? [memberAt(lines, index)] : [];
  });
  return [lines[start], ...members, '}'].join('\n');
}

function memberAt(lines: readonly string[], index: number): string {
  const doc = docBefore(lines, index);
  const comment =
    doc === ''
      ? []
      : doc.includes('\n')
        ? ['/**', ...doc.split('\n').map((line) => ` * ${line}`.trimEnd()), ' */']
        : [`/** ${doc} */`];
  const line = (lines[index] ?? '').slice(2);
  const signature = /[;]$/.test(line) ? line : headFrom(lines, index, '  ');
  return [...comment, ...signature.replace(/^async /, '').split('\n')].map((text) => `  ${text}`).join('\n');
}

function render({ entries }: Page): string {
  const parts = ['# API reference', '', 'This page is generated from the doc comments by `npm run gen`.'];
  for (const { title, index } of entries) {
    const declarations = exportsOf(index).map(declarationOf);
    parts.push('', `## ${title}`);
    for (const { name, doc, shape } of declarations.toSorted((a, b) => a.name.localeCompare(b.name, 'en'))) {
      parts.push('', `### ${name}`, ...(doc === '' ? [] : ['', asMarkdown(doc)]), '', '```ts', shape, '```');
    }
  }
  return `${parts.join('\n')}\n`;
}

/** Converts tags of a doc comment to paragraphs. */
function asMarkdown(doc: string): string {
  return doc
    .replaceAll(/\n*^@throws /gm, '\n\n**Throws** ')
    .replaceAll(/\n*^@(param|returns|see) /gm, '\n\n**$1** ')
    .trim();
}

for (const page of PAGES) {
  const path = join(ROOT, page.file);
  if (process.argv[2] !== '--check') writeFileSync(path, render(page));
  else if (readFileSync(path, 'utf8') !== render(page)) {
    console.error(`${page.file} is not up to date: run "npm run gen" and commit the result.`);
    process.exitCode = 1;
  }
}
