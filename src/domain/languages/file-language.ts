import { isGenerated } from '../generated/is-generated.ts';
import { detectLanguage } from './detect-language.ts';
import type { LinguistData } from './linguist-data.ts';

/** Length of a file's start that is examined. @see Gitaly: linguist reads 16 KiB */
export const LOOKED_AT_BYTES = 16 * 1024;

/**
 * Attributes that affect the count. Only `linguist-language` takes a value; a value of another
 * attribute is ignored.
 */
export const LINGUIST_ATTRIBUTES = [
  'linguist-documentation',
  'linguist-detectable',
  'linguist-generated',
  'linguist-vendored',
  'linguist-language',
] as const;

/** Attributes of a file in `.gitattributes`: `set`, `unset`, or a value. */
export type LinguistAttributes = Readonly<
  Partial<Record<(typeof LINGUIST_ATTRIBUTES)[number], 'set' | 'unset' | { readonly value: string }>>
>;

/**
 * Reports whether a file does not count because of its path: documentation and third-party code.
 */
export function isExcluded(data: LinguistData, path: string, attributes: LinguistAttributes): boolean {
  return (
    (decided(attributes['linguist-documentation']) ?? data.isDocumentation(path)) ||
    (decided(attributes['linguist-vendored']) ?? data.isVendored(path))
  );
}

/**
 * Returns the language that a file counts for. `undefined` when it counts for none: generated or
 * binary files, and data and prose, which count only if the attributes request it.
 *
 * @param content the file's start, {@link LOOKED_AT_BYTES} of it.
 */
export function fileLanguage(
  data: LinguistData,
  path: string,
  { attributes, content }: { readonly attributes: LinguistAttributes; readonly content: Buffer },
): string | undefined {
  if (decided(attributes['linguist-generated']) ?? isGenerated(path, content, LOOKED_AT_BYTES))
    return undefined;
  const language =
    namedLanguage(data, attributes['linguist-language']) ?? detectLanguage(data, path, content);
  if (language === undefined) return undefined;
  const type = data.byName.get(language)?.type;
  return (decided(attributes['linguist-detectable']) ?? (type === 'programming' || type === 'markup'))
    ? language
    : undefined;
}

/** Returns the language that the attribute names, known or not. */
function namedLanguage(
  data: LinguistData,
  state: LinguistAttributes['linguist-language'],
): string | undefined {
  if (state === undefined) return undefined;
  const name = typeof state === 'string' ? state : state.value;
  return data.byAlias(name) ?? name;
}

function decided(state: LinguistAttributes[keyof LinguistAttributes]): boolean | undefined {
  return typeof state === 'string' ? state === 'set' : undefined;
}
