/** Markup in which every text is escaped. Only {@link html} and {@link trusted} create it. */
export class Html {
  readonly #markup: string;

  private constructor(markup: string) {
    this.#markup = markup;
  }

  static of(markup: string): Html {
    return new Html(markup);
  }

  toString(): string {
    return this.#markup;
  }
}

/** A value in a template: text is escaped, lists are joined, `undefined` is left out. */
export type Part = Html | string | number | undefined | readonly Part[];

/**
 * Returns markup from a template. Values in it are escaped, and characters that change the reading
 * direction or that are invisible are shown: `⟨U+202E⟩`. Attribute values need quotes around
 * them.
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let markup = strings[0] ?? '';
  for (const [index, part] of parts.entries()) markup += `${markupOf(part)}${strings[index + 1] ?? ''}`;
  return Html.of(markup);
}

/** Declares that markup is safe: that of the thread that renders, which escapes texts, or our own. */
export function trusted(markup: string): Html {
  return Html.of(markup);
}

function markupOf(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.toString();
  if (typeof part === 'object') return part.map(markupOf).join('');
  return escapeText(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const SPECIAL = /[&<>"']/g;
/** Control characters but tabs and newlines; marks of direction; characters without width. */
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function escapeText(text: string): string {
  return visible(text).replace(SPECIAL, (character) => ENTITIES[character] ?? '');
}

/** Returns text with its invisible characters shown by their numbers. @param show returns how. */
export function visible(text: string, show = (number: string) => `⟨U+${number}⟩`): string {
  return text.replace(INVISIBLE, (character) => {
    const number = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    return show(number);
  });
}
