import type { LinguistData } from './linguist-data.ts';

/** Lines at the start and at the end of a file in which editors look for a hint. */
const SCOPE = 5;
const EMACS = /-\*-[\t\n\f\r ]*([^\n]+?)[\t\n\f\r ]*-\*-/g;
const EMACS_MODE = /^[^\n]*mode[\t\n\f\r ]*:[\t\n\f\r ]*([^\t\n\f\r ;]+)[\t\n\f\r ]*;*/i;
const VIM = /(?:(?:[\t\n\f\r ]|(?<![^\n]))vi(?:m[<=>]?\d+|m)?|[\t ]*ex)[\t\n\f\r ]*:[\t\n\f\r ]*([^\n]*)/g;
const VIM_LANGUAGE = /(?:filetype|ft|syntax)[\t\n\f\r ]*=(\w+)(?:[\t\n\f\r ]|:|$)/gi;

/**
 * Returns the language that a hint for Emacs (`-*- mode: ruby -*-`) or Vim (`vim: ft=ruby`) names.
 */
export function languageByModeline(data: LinguistData, content: string): string | undefined {
  const ends = headAndFoot(content);
  const emacs = lastMatch(ends, EMACS);
  if (emacs !== undefined) {
    const language = data.byAlias(EMACS_MODE.exec(emacs)?.[1] ?? emacs);
    if (language !== undefined) return language;
  }
  const vim = lastMatch(ends, VIM);
  if (vim === undefined) return undefined;
  const names = new Set([...vim.matchAll(VIM_LANGUAGE)].map(([, name = '']) => name));
  const [name] = names;
  // Contradictory hints count as none.
  return name === undefined || names.size > 1 ? undefined : data.byAlias(name);
}

function lastMatch(text: string, pattern: RegExp): string | undefined {
  let last: string | undefined;
  for (const [, match] of text.matchAll(pattern)) last = match;
  return last;
}

function headAndFoot(content: string): string {
  const lines = content.split('\n');
  if (lines.length - 1 < 2 * SCOPE) return content;
  // No line feed in between, as in the original.
  return lines.slice(0, SCOPE).join('\n') + lines.slice(-SCOPE).join('\n');
}
