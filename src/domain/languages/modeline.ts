import { GoRegexp } from '#base/go/regexp/go-regexp';
import type { LinguistData } from './linguist-data.ts';

/** Number of lines at the start and at the end of a file in which editors search for a hint. */
const SCOPE = 5;
const EMACS = new GoRegexp(String.raw`-\*-\s*(.+?)\s*-\*-`);
const EMACS_MODE = /^[^\n]*mode[\t\n\f\r ]*:[\t\n\f\r ]*([^\t\n\f\r ;]+)[\t\n\f\r ]*;*/i;
const VIM = new GoRegexp(String.raw`(?:(?m:\s|^)vi(?:m[<=>]?\d+|m)?|[\t ]*ex)\s*:\s*(.*)`);
/** Most files have no hint, and need no search for one. */
const LIKE_EMACS = '-*-';
const LIKE_VIM = /(?:vi(?:m[<=>]?\d*)?|ex)[\t\n\f\r ]*:/;
const VIM_LANGUAGE = /(?:filetype|ft|syntax)[\t\n\f\r ]*=(\w+)(?:[\t\n\f\r ]|:|$)/gi;

/**
 * Returns the language that a hint for Emacs (`-*- mode: ruby -*-`) or Vim (`vim: ft=ruby`) names.
 */
export function languageByModeline(data: LinguistData, content: string): string | undefined {
  const ends = headAndFoot(content);
  const emacs = ends.includes(LIKE_EMACS) ? EMACS.lastGroup(ends) : undefined;
  if (emacs !== undefined) {
    const language = data.byAlias(EMACS_MODE.exec(emacs)?.[1] ?? emacs);
    if (language !== undefined) return language;
  }
  const vim = LIKE_VIM.test(ends) ? VIM.lastGroup(ends) : undefined;
  if (vim === undefined) return undefined;
  const names = new Set([...vim.matchAll(VIM_LANGUAGE)].map(([, name = '']) => name));
  const [name] = names;
  // Contradictory hints are ignored.
  return name === undefined || names.size > 1 ? undefined : data.byAlias(name);
}

function headAndFoot(content: string): string {
  const lines = content.split('\n');
  if (lines.length - 1 < 2 * SCOPE) return content;
  // No line feed in between, as in the original.
  return lines.slice(0, SCOPE).join('\n') + lines.slice(-SCOPE).join('\n');
}
