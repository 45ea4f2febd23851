import type { LinguistAttributes } from './file-language.ts';

/** Question for the thread that holds linguist's data. */
export type DetectorQuestion =
  /** Paths of files that do not count because of their place. */
  | { readonly kind: 'excluded'; readonly files: readonly QuestionedFile[] }
  /** The language that each file counts for. */
  | {
      readonly kind: 'languages';
      readonly files: readonly (QuestionedFile & { readonly content: Uint8Array })[];
    }
  /** Number and color of languages. */
  | { readonly kind: 'describe'; readonly names: readonly string[] };

export interface QuestionedFile {
  /** Bytes that are not UTF-8 are replaced. */
  readonly path: string;
  readonly attributes: LinguistAttributes;
}

/** Linguist's description of a language. */
export interface LanguageDescription {
  readonly id: number;
  /** In CSS form; `undefined` when linguist has none. */
  readonly color: string | undefined;
}

/** The responses, in the order of the requests. */
export interface DetectorAnswers {
  readonly excluded: readonly boolean[];
  readonly languages: readonly (string | undefined)[];
  readonly describe: readonly (LanguageDescription | undefined)[];
}
