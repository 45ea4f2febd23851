import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LinearRegexp, linearRegexp } from '#base/go/regexp/linear-regexp';

/** Linguist's class of a language. */
export type LanguageType = 'programming' | 'markup' | 'data' | 'prose';

export interface Language {
  readonly name: string;
  /** linguist's number. */
  readonly id: number;
  readonly type: LanguageType;
  /** In CSS form; most languages have one. */
  readonly color: string | undefined;
  /** The language that this one is a dialect of. */
  readonly group: string | undefined;
  /** Extensions with their dots. The first one is the primary one. */
  readonly extensions: readonly string[];
}

/** A rule about the contents of files of some extension. Without a condition it always holds. */
export interface Rule {
  /** Languages that the rule selects, if it is not part of another rule. */
  readonly languages?: readonly string[];
  /**
   * A pattern in Go's syntax that must match; `null` for one that go-enry cannot compile: such a
   * rule never applies.
   */
  readonly any?: string | null;
  /** A pattern that must not match. */
  readonly none?: string | null;
  /** Rules that must all apply; those with `null` are ignored. */
  readonly all?: readonly Rule[];
}

/** A line of the file. */
interface Record {
  readonly language?: string;
  readonly id?: number;
  readonly type?: LanguageType;
  readonly color?: string;
  readonly group?: string;
  readonly aliases?: readonly string[];
  readonly extensions?: readonly string[];
  readonly interpreters?: readonly string[];
  readonly filenames?: readonly string[];
  readonly rules?: readonly Rule[];
  readonly vendored?: string;
  readonly documentation?: string;
}

/** Matches nothing. */
const NEVER = String.raw`[^\x00-\x{10FFFF}]`;

/** Names of languages by something that points to them, in alphabetical order. */
type Pointers = ReadonlyMap<string, readonly string[]>;

/**
 * linguist's data, from `linguist.jsonl` (made by scripts/generate-linguist.ts), some 160 KB: read
 * it only where it is needed.
 */
export class LinguistData {
  readonly byName: ReadonlyMap<string, Language>;
  readonly byExtension: Pointers;
  readonly byInterpreter: Pointers;
  readonly byFilename: Pointers;
  /** Rules by extension, to be tried in order. */
  readonly rules: ReadonlyMap<string, readonly Rule[]>;
  readonly #byAlias: ReadonlyMap<string, string>;
  readonly #vendored: LinearRegexp;
  readonly #documentation: LinearRegexp;
  readonly #patterns = new Map<string, LinearRegexp>();

  private constructor(records: readonly Record[]) {
    const languages = records.filter(isLanguage).toSorted((a, b) => (a.language < b.language ? -1 : 1));
    this.byName = new Map(languages.map((record) => [record.language, languageOf(record)]));
    this.byExtension = pointers(languages, ({ extensions = [] }) =>
      extensions.map((extension) => extension.toLowerCase()),
    );
    this.byInterpreter = pointers(languages, ({ interpreters = [] }) => interpreters);
    this.byFilename = pointers(languages, ({ filenames = [] }) => filenames);
    this.#byAlias = new Map(
      languages.flatMap(({ language, aliases = [] }) =>
        [language, ...aliases].map((alias) => [aliasKey(alias), language]),
      ),
    );
    this.rules = new Map(
      records.flatMap(({ extensions = [], rules }) => (rules ? extensions.map((each) => [each, rules]) : [])),
    );
    const one = (name: 'vendored' | 'documentation'): LinearRegexp =>
      linearRegexp(records.find((record) => record[name] !== undefined)?.[name] ?? NEVER);
    this.#vendored = one('vendored');
    this.#documentation = one('documentation');
  }

  static async read(): Promise<LinguistData> {
    const text = await readFile(join(import.meta.dirname, 'linguist.jsonl'), 'utf8');
    // A script of this project writes the file in this form.
    const records = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record]));
    return new LinguistData(records);
  }

  /** Returns the name of the language for an alias or a name, in any case. */
  byAlias(alias: string): string | undefined {
    return this.#byAlias.get(aliasKey(alias));
  }

  /** Reports whether the path belongs to third-party code. */
  isVendored(path: string): boolean {
    return this.#vendored.test(path);
  }

  isDocumentation(path: string): boolean {
    return this.#documentation.test(path);
  }

  /** Compiles a pattern of {@link rules}, once. */
  pattern(source: string): LinearRegexp {
    const known = this.#patterns.get(source);
    if (known !== undefined) return known;
    const pattern = linearRegexp(source);
    this.#patterns.set(source, pattern);
    return pattern;
  }
}

type LanguageRecord = Record & {
  readonly language: string;
  readonly id: number;
  readonly type: LanguageType;
};

function isLanguage(record: Record): record is LanguageRecord {
  return record.language !== undefined && record.id !== undefined && record.type !== undefined;
}

function languageOf({ language: name, id, type, color, group, extensions = [] }: LanguageRecord): Language {
  return { name, id, type, color, group, extensions };
}

function pointers(
  languages: readonly LanguageRecord[],
  from: (record: LanguageRecord) => readonly string[],
): Pointers {
  const names = new Map<string, string[]>();
  for (const record of languages) {
    for (const pointer of new Set(from(record))) {
      const known = names.get(pointer);
      if (known === undefined) names.set(pointer, [record.language]);
      else known.push(record.language);
    }
  }
  return names;
}

/**
 * Normalises an alias: the part before the first comma, lower case, with spaces as in linguist's
 * aliases.
 */
function aliasKey(alias: string): string {
  return (alias.split(',', 1)[0] ?? '').toLowerCase().replaceAll(' ', '_');
}
