/**
 * Refuses comments and documents that mention files which do not exist: TypeScript and Markdown
 * files by name or path, paths below the project's folders, and modules' paths in backticks
 * (`git/command`). A name in capitals or `x` represents any.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Findings, SourceTree } from './source-tree.ts';

const FOLDERS = ['bin', 'src', 'scripts', 'test', 'bench', 'examples', 'docs', 'proto'];
/** Generated or recorded text, and documents about other projects' files. */
const EXEMPT = /^src\/wire\/gen\/|\/fixtures\/|^test\/golden\/(?:repos|cases|played)\/|check-references/;
/** Paths that exist only in a repository that is served, or are made by a run. */
const ELSEWHERE = /^(?:docs\/site\.git|docs\/api\/batch\.md|bench\/results)$/;
const PLACEHOLDER = /\*|(?:^|\/)(?:[A-Z]+|x|the-rpc|parse-tag)(?:\.[a-z]+)?(?:$|\/)/;

export function checkReferences(tree: SourceTree): Findings {
  const all = tree.files(['*', `{${FOLDERS.join(',')}}/**/*`]);
  const names = new Set(all.map((file) => basename(file)));
  const paths = pathsOf(readdirSync(join(tree.root, 'src')));
  const exists = (path: string, file: string): boolean => {
    if (PLACEHOLDER.test(path) || ELSEWHERE.test(path)) return true;
    if (!path.includes('/')) return names.has(path);
    const folders = [dirname(file), dirname(dirname(file)), '', 'src'];
    return folders.some((folder) =>
      ['', '.ts'].some((end) => existsSync(join(tree.root, folder, path + end))),
    );
  };

  const files = all.filter(
    (file) => (/\.(?:md|ts|sh|proto)$/.test(file) || file.startsWith('bin/')) && !EXEMPT.test(file),
  );
  const complaints = files.flatMap((file) =>
    tree
      .text(file)
      .split('\n')
      .flatMap((line, index) =>
        [...proseOf(line, file).matchAll(paths)]
          .filter(([path]) => !exists(path, file))
          .map(([path]) => `${file}:${index + 1}: ${path} does not exist`),
      ),
  );
  if (files.length === 0) complaints.push('saw no file');
  return { complaints, summary: `${files.length} files` };
}

/** Returns an expression for mentions of files. @param modules folders below `src`. */
function pathsOf(modules: readonly string[]): RegExp {
  return new RegExp(
    [
      String.raw`(?<![\w./:@<>-])(?:\.{1,2}\/)*(?:[\w.@-]+\/)*[\w.@*-]+\.(?:ts|md)\b(?!\()`,
      String.raw`(?<![\w./:@-])(?:${FOLDERS.join('|')}|spec)\/[\w./-]*\w`,
      String.raw`(?<=\x60#?)(?:${modules.join('|')})\/[\w./-]*\w(?=\x60)`,
    ].join('|'),
    'g',
  );
}

/** Returns the text of a document's line, or of a comment, without addresses. */
function proseOf(line: string, file: string): string {
  const comment = /(?:^\s*\/?\*+|\/\/|^\s*#(?!!))(?<text>.*)$/;
  const text = file.endsWith('.md') ? line : (comment.exec(line)?.groups?.text ?? '');
  return text.replace(/https?:\/\/\S+/g, '');
}
