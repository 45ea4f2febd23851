/**
 * Refuses the words of word-list.ts in code, comments and documents, doc comments that do not begin
 * with a verb, and lines that are too long. It complains when it finds no file.
 */
import type { Findings, SourceTree } from './source-tree.ts';
import { DOC_OPENINGS, MAX_CODE_COLUMNS, MAX_TEXT_COLUMNS, PROSE_WORDS, WORDS } from './word-list.ts';

const PLACES = ['*.md', 'bin/*', '{src,scripts,test,bench,examples,docs,proto}/**/*.{ts,md,sh,proto}'];

/** Files that are generated, recorded or not ours, or that must contain the words. */
const EXEMPT =
  /^src\/wire\/gen\/|\/fixtures\/|^scripts\/(?:word-list|check-words\.test)\.ts$|^test\/golden\/(?:repos|cases|played)\/|^docs\/compatibility\.md$/;

/** Documents that may contain words of prose: measurements, text of the interface, names of tests. */
const PROSE_EXEMPT =
  /^bench\/README\.md$|^docs\/messages-reference\.md$|^test\/cluster\/contract\/differences\.md$/;

export function checkWords(tree: SourceTree): Findings {
  const files = tree.files(PLACES, EXEMPT);
  const complaints = files.flatMap((file) => {
    const lines = tree.text(file).split('\n');
    let isText = file.endsWith('.md');
    return lines.flatMap((line, index) => {
      if (file.endsWith('.md') && line.trim().startsWith('```')) isText = !isText;
      const isProse = (isText || isComment(file, line)) && !PROSE_EXEMPT.test(file);
      const reasons = [
        ...wordsIn(line, lines[index - 1] ?? '', isProse),
        ...widthProblems(file, line, isText),
      ];
      return reasons.map((reason) => `${file}:${index + 1}: ${reason}`);
    });
  });
  if (files.length === 0) complaints.push('saw no file');
  return { complaints, summary: `${files.length} files` };
}

function wordsIn(line: string, before: string, isProse: boolean): string[] {
  const opensDoc = /^\s*\/\*\*/.test(line) || /^\s*\/\*\*$/.test(before);
  const rules = [...WORDS, ...(isProse ? PROSE_WORDS : []), ...(opensDoc ? DOC_OPENINGS : [])];
  return rules.flatMap(({ pattern, instead }) => {
    const word = pattern.exec(line)?.[0];
    return word === undefined ? [] : [`“${word.trim()}”: write ${instead}`];
  });
}

/**
 * Tables, and lines with an address, a lint exception or nothing but a regular expression, may have
 * any length. `isText` is true in Markdown outside of code blocks.
 */
function widthProblems(file: string, line: string, isText: boolean): string[] {
  if (file.endsWith('.proto')) return []; // theirs are longer
  if (/https?:\/\/|biome-ignore|^\s*\/.*\/[a-z]*[;,]?$/.test(line) || (isText && /^\s*\|/.test(line)))
    return [];
  const columns = isText || isComment(file, line) ? MAX_TEXT_COLUMNS : MAX_CODE_COLUMNS;
  return [...line].length > columns ? [`longer than ${columns} columns`] : [];
}

/** Reports whether a line of a source file is nothing but a comment, or a part of one. */
function isComment(file: string, line: string): boolean {
  if (file.endsWith('.md')) return false;
  return (/\.(?:ts|proto)$/.test(file) ? /^\s*(?:\/\/|\/?\*)/ : /^\s*#(?!!)/).test(line);
}
