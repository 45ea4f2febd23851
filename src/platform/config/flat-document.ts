import { parse, TomlError } from 'smol-toml';
import { positionOf } from './toml-position.ts';

/** A key of a TOML document, outside of its tables, or a table. */
export interface DocumentEntry {
  readonly key: string;
  readonly value: unknown;
  /** Line in the document, from 1; `undefined` if it is not found. */
  readonly line: number | undefined;
}

/** A text that is no TOML document. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly line: number;

  constructor(message: string, line: number, options?: ErrorOptions) {
    super(message, options);
    this.line = line;
  }
}

/** Reads the keys of a TOML document, in their order. @throws {DocumentError} */
export function entriesOfDocument(document: string): DocumentEntry[] {
  try {
    return Object.entries(parse(document)).map(([key, value]) => ({
      key,
      value,
      line: positionOf(document, [key])?.line,
    }));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [, text = error.message] = /Invalid TOML document: (.*)/.exec(error.message) ?? [];
    throw new DocumentError(`not valid TOML: ${text}`, error.line, { cause: error });
  }
}
