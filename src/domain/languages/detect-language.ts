import { interpreterOf } from './interpreter.ts';
import type { LinguistData, Rule } from './linguist-data.ts';
import { languageByModeline } from './modeline.ts';

/** How far one looks for a NUL, which makes a file binary. */
const BINARY_LOOK_BYTES = 8000;
const MANUAL = /\.(?:[1-9](?:[a-z_]+[a-z_0-9]*)?|0p|n|man|mdoc)(?:\.in)?$/;
const MANUAL_LANGUAGES = ['Roff Manpage', 'Roff'];
const XML = /xml version=/;

/**
 * The language of a file, by linguist's rules as go-enry (that Gitaly uses) has them: an editor's hint, the name, the interpreter, the
 * extension, an XML header, a manual page's name, rules about the contents. Each narrows the choice, the first that leaves one language
 * decides. Where several are left, go-enry guesses from the words of the file; here it is the language that is known for the extension
 * (docs/languages.md).
 *
 * @param content the start of the file.
 * @returns `undefined` for binary files and those that nothing is known about.
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

/** Of several languages the one whose first extension it is, else the first one. */
function mostLikely(data: LinguistData, path: string, candidates: readonly string[]): string | undefined {
  const extension = extensionOf(path);
  return candidates.find((name) => data.byName.get(name)?.extensions[0]?.toLowerCase() === extension) ?? candidates[0];
}

/** By the longest known extension: everything behind one of the path's dots. */
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
  if (all !== undefined) return all.every((rule) => rule.any === null || rule.none === null || holds(data, rule, text));
  if (any !== undefined) return any !== null && data.pattern(any).test(text);
  if (none !== undefined) return none === null || !data.pattern(none).test(text);
  return true;
}

/** From the last dot of the name on, in lower case. */
function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  const dot = name.lastIndexOf('.');
  return dot === -1 ? '' : name.slice(dot);
}

function asList(language: string | undefined): string[] {
  return language === undefined ? [] : [language];
}
