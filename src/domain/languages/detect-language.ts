import { interpreterOf } from './interpreter.ts';
import type { LinguistData, Rule } from './linguist-data.ts';
import { languageByModeline } from './modeline.ts';

/** Length of a file's start in which a NUL makes the file binary. */
const BINARY_LOOK_BYTES = 8000;
const MANUAL = /\.(?:[1-9](?:[a-z_][a-z_0-9]*)?|0p|n|man|mdoc)(?:\.in)?$/;
const MANUAL_LANGUAGES = ['Roff Manpage', 'Roff'];
const XML = /xml version=/;

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
