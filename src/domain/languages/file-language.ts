import { isGenerated } from '../generated/is-generated.ts';
import { detectLanguage } from './detect-language.ts';
import type { LinguistData } from './linguist-data.ts';

/** How much of a file's start is looked at. @see Gitaly: linguist reads 16 KiB */
export const LOOKED_AT_BYTES = 16 * 1024;

/** The attributes that have a say. A value of its own is what `linguist-language` takes; it is nothing to the others. */
export const LINGUIST_ATTRIBUTES = [
  'linguist-documentation',
  'linguist-detectable',
  'linguist-generated',
  'linguist-vendored',
  'linguist-language',
] as const;

/** What `.gitattributes` say about a file: `set`, `unset`, or a value. */
export type LinguistAttributes = Readonly<
  Partial<Record<(typeof LINGUIST_ATTRIBUTES)[number], 'set' | 'unset' | { readonly value: string }>>
>;

/** Whether a file does not count for where it lies: documentation, and what others wrote. */
export function isExcluded(data: LinguistData, path: string, attributes: LinguistAttributes): boolean {
  return (
    (decided(attributes['linguist-documentation']) ?? data.isDocumentation(path)) ||
    (decided(attributes['linguist-vendored']) ?? data.isVendored(path))
  );
}

/**
 * The language that a file counts for; `undefined` when it counts for none: written by a program, binary, or data and prose, which count
 * only where the attributes want it.
 *
 * @param content the file's start, {@link LOOKED_AT_BYTES} of it.
 */
export function fileLanguage(
  data: LinguistData,
  path: string,
  { attributes, content }: { readonly attributes: LinguistAttributes; readonly content: Buffer },
): string | undefined {
  if (decided(attributes['linguist-generated']) ?? isGenerated(path, content, LOOKED_AT_BYTES)) return undefined;
  const language = namedLanguage(data, attributes['linguist-language']) ?? detectLanguage(data, path, content);
  if (language === undefined) return undefined;
  const type = data.byName.get(language)?.type;
  return (decided(attributes['linguist-detectable']) ?? (type === 'programming' || type === 'markup')) ? language : undefined;
}

/** What the attribute names, be it a language or not. */
function namedLanguage(data: LinguistData, state: LinguistAttributes['linguist-language']): string | undefined {
  if (state === undefined) return undefined;
  const name = typeof state === 'string' ? state : state.value;
  return data.byAlias(name) ?? name;
}

function decided(state: LinguistAttributes[keyof LinguistAttributes]): boolean | undefined {
  return typeof state === 'string' ? state === 'set' : undefined;
}
