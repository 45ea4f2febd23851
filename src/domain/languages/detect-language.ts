import { GoRegexp } from '#base/go/regexp/go-regexp';
import type { LinguistData, Rule } from './linguist-data.ts';

/** Length of a file's start in which a NUL makes the file binary. */
const BINARY_LOOK_BYTES = 8000;
const MANUAL = /\.(?:[1-9](?:[a-z_][a-z_0-9]*)?|0p|n|man|mdoc)(?:\.in)?$/;
const MANUAL_LANGUAGES = ['Roff Manpage', 'Roff'];
const XML = /xml version=/;
/** Lines in which a shell script may hand itself over to another interpreter. */
const EXEC_LINES = 5;
const EXEC = /exec (\w+)/;
const PYTHON_VERSION = /python\d\.\d+/;
/**
 * Words after `env` that are not the program: options, words with a dash (as in go-enry), and
 * variables.
 */
const ENV_WORD = /-|[^\t\n\f\r ]=[^\t\n\f\r ]/;
const SPACES = /[\t\n\v\f\r ]+/;

/**
 * Returns the language of a file by linguist's rules in the form of go-enry, which Gitaly uses. The
 * rules, in this order:
 *
 * 1. an editor's hint,
 * 2. the name,
 * 3. the interpreter,
 * 4. the extension,
 * 5. an XML header,
 * 6. a manual page's name,
 * 7. rules about the contents.
 *
 * Each rule narrows the choice; the first rule that leaves one language decides. If several
 * languages are left, go-enry guesses from the words of the file; this function returns the
 * language that is known for the extension (docs/languages.md).
 *
 * @param content the start of the file.
 * @returns `undefined` for binary files and those that no rule covers.
 */
export function detectLanguage(data: LinguistData, path: string, content: Buffer): string | undefined {
  if (content.subarray(0, BINARY_LOOK_BYTES).includes(0)) return undefined;
  const text = content.toString();
  const strategies: readonly ((candidates: readonly string[]) => readonly string[] | undefined)[] = [
    () => asList(languageByModeline(data, text)),
    () => data.byFilename.get(path.slice(path.lastIndexOf('/') + 1)),
    () => data.byInterpreter.get(interpreterOf(text)),
    () => byExtension(data, path),
    (candidates) => (candidates.length > 0 ? candidates : hasXmlHeader(text) ? ['XML'] : []),
    () => (MANUAL.test(path.toLowerCase()) ? MANUAL_LANGUAGES : []),
    () => byRules(data, path, text),
  ];
  let candidates: readonly string[] = [];
  for (const strategy of strategies) {
    const found = strategy(candidates) ?? [];
    if (found.length === 1) return found[0];
    if (found.length > 0) candidates = found;
  }
  return mostLikely(data, path, candidates);
}

/** Returns the language whose first extension is that of the file, else the first language. */
function mostLikely(data: LinguistData, path: string, candidates: readonly string[]): string | undefined {
  const extension = extensionOf(path);
  return (
    candidates.find((name) => data.byName.get(name)?.extensions[0]?.toLowerCase() === extension) ??
    candidates[0]
  );
}

/** Finds languages by the longest known extension: the text after one of the path's dots. */
function byExtension(data: LinguistData, path: string): readonly string[] | undefined {
  const lower = path.toLowerCase();
  for (let dot = lower.indexOf('.'); dot !== -1; dot = lower.indexOf('.', dot + 1)) {
    const found = data.byExtension.get(lower.slice(dot));
    if (found !== undefined) return found;
  }
  return undefined;
}

function hasXmlHeader(text: string): boolean {
  return XML.test(text.split('\n', 2).join('\n'));
}

function byRules(data: LinguistData, path: string, text: string): readonly string[] {
  const rule = data.rules.get(extensionOf(path))?.find((each) => holds(data, each, text));
  return (rule?.languages ?? []).flatMap((name) => asList(data.byAlias(name)));
}

function holds(data: LinguistData, { any, none, all }: Rule, text: string): boolean {
  if (all !== undefined)
    return all.every((rule) => rule.any === null || rule.none === null || holds(data, rule, text));
  if (any !== undefined) return any !== null && data.pattern(any).test(text);
  if (none !== undefined) return none === null || !data.pattern(none).test(text);
  return true;
}

/** Returns the part from the last dot of the name on, in lower case. */
function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  const dot = name.lastIndexOf('.');
  return dot === -1 ? '' : name.slice(dot);
}

function asList(language: string | undefined): string[] {
  return language === undefined ? [] : [language];
}

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
function languageByModeline(data: LinguistData, content: string): string | undefined {
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

/**
 * Returns the name of the program in the first line of a script (`#!/usr/bin/env python3`); empty
 * when there is none.
 */
export function interpreterOf(content: string): string {
  const lines = content.split('\n', EXEC_LINES);
  const [line = ''] = lines;
  if (!line.startsWith('#!')) return '';
  const words = line
    .slice(2)
    .split(SPACES)
    .filter((word) => word !== '');
  let name = baseName(words[0] ?? '');
  if (name === 'env') {
    let at = 1;
    while (at < words.length - 1 && ENV_WORD.test(words[at] ?? '')) at++;
    name = baseName(words[at] ?? '');
  }
  if (name === 'sh') name = lines.map(programInExec).find((each) => each !== undefined) ?? 'sh';
  if (PYTHON_VERSION.test(name)) name = name.slice(0, name.indexOf('.'));
  // It runs several languages; the option selects one.
  return name === 'osascript' && line.includes('-l') ? '' : name;
}

/** Returns the program of `exec program … $0 … $@`, with at least one character in each gap. */
function programInExec(line: string): string | undefined {
  const script = line.lastIndexOf('$0', line.lastIndexOf('$@') - 3);
  const found = script < 1 ? null : EXEC.exec(line.slice(0, script - 1));
  return found?.[1];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
