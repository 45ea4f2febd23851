/**
 * Refuses comments and documents that mention files which do not exist: TypeScript and Markdown
 * files by name or path, paths below the project's folders, and modules' paths in backticks
 * (`git/command`). A name in capitals or `x` represents any.
 *
 *   node scripts/check-references.ts [ROOT]
 */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const FOLDERS = ['bin', 'src', 'scripts', 'test', 'bench', 'examples', 'docs', 'proto'];
/** Generated or recorded text, and documents about other projects' files. */
const EXEMPT = /^src\/wire\/gen\/|\/fixtures\/|^test\/golden\/(?:repos|cases|played)\/|check-references/;
/** Paths that exist only in a repository that is served, or are made by a run. */
const ELSEWHERE = /^(?:docs\/site\.git|docs\/api\/batch\.md|bench\/results)$/;
const PLACEHOLDER = /\*|(?:^|\/)(?:[A-Z]+|x|the-rpc|parse-tag)(?:\.[a-z]+)?(?:$|\/)/;

const all = globSync(['*', `{${FOLDERS.join(',')}}/**/*`], { cwd: root });
const names = new Set(all.map((file) => basename(file)));
const modules = readdirSync(join(root, 'src')).join('|');
const PATH = new RegExp(
  [
    String.raw`(?<![\w./:@<>-])(?:\.{1,2}\/)*(?:[\w.@-]+\/)*[\w.@*-]+\.(?:ts|md)\b(?!\()`,
    String.raw`(?<![\w./:@-])(?:${FOLDERS.join('|')}|spec)\/[\w./-]*\w`,
    String.raw`(?<=\x60#?)(?:${modules})\/[\w./-]*\w(?=\x60)`,
  ].join('|'),
  'g',
);

const files = all.filter(
  (file) => (/\.(?:md|ts|sh|proto)$/.test(file) || file.startsWith('bin/')) && !EXEMPT.test(file),
);
const complaints = files.flatMap((file) =>
  readFileSync(join(root, file), 'utf8')
    .split('\n')
    .flatMap((line, index) =>
      [...proseOf(line, file).matchAll(PATH)]
        .filter(([path]) => !exists(path, file))
        .map(([path]) => `${file}:${index + 1}: ${path} does not exist`),
    ),
);
if (files.length === 0) complaints.push('saw no file');
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;

/** Returns the text of a document's line, or of a comment, without addresses. */
function proseOf(line: string, file: string): string {
  const comment = /(?:^\s*\/?\*+|\/\/|^\s*#(?!!))(?<text>.*)$/;
  const text = file.endsWith('.md') ? line : (comment.exec(line)?.groups?.text ?? '');
  return text.replace(/https?:\/\/\S+/g, '');
}

function exists(path: string, file: string): boolean {
  if (PLACEHOLDER.test(path) || ELSEWHERE.test(path)) return true;
  if (!path.includes('/')) return names.has(path);
  const folders = [dirname(file), dirname(dirname(file)), '', 'src'];
  return folders.some((folder) => ['', '.ts'].some((end) => existsSync(join(root, folder, path + end))));
}
