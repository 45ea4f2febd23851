import { readFileSync, statSync } from 'node:fs';
import { keptBytes } from '#base/memory/kept-bytes';
import { trimmed } from '#base/trim';

/** A setting in a repository's `config` file. */
export interface Setting {
  /**
   * Section, subsection and name as git writes them, joined with dots: lower case except for the
   * subsection.
   */
  readonly key: string;
  readonly hasSubsection: boolean;
  readonly value: Buffer;
}

/** Limit of a file that is parsed; git itself writes some hundred bytes. */
export const MAX_CONFIG_BYTES = 256 * 1024;

const SECTION = /^\[([a-z0-9-]+)(?: "([^"\\]*)")?\]$/i;
const SETTING = /^[ \t]*([a-z][a-z0-9-]*)[ ]*=(.*)$/i;
const EMPTY = /^[ \t]*(?:[#;].*)?$/;
/**
 * Matches values with quotes, escapes, comments, or bytes that versions of git treat differently.
 */
const DIFFICULT_VALUE = /["\\#;\t\r\0\v\f]/;

/**
 * Reads a repository's `config` file, in the order of its lines; `undefined` if it has any unusual
 * line, which only git can parse, or is unreadable.
 */
export function readSettings({ path }: { readonly path: string }): Setting[] | undefined {
  const file = `${path}/config`;
  try {
    if (statSync(file).size > MAX_CONFIG_BYTES) return undefined;
    return parseSettings(readFileSync(file, 'latin1'));
  } catch {
    // git reports the error.
    return undefined;
  }
}

/** Parses settings. @param text one character per byte. */
export function parseSettings(text: string): Setting[] | undefined {
  const settings: Setting[] = [];
  let section: { readonly name: string; readonly hasSubsection: boolean } | undefined;
  for (const line of text.split('\n')) {
    if (EMPTY.test(line)) continue;
    const [, name, subsection] = SECTION.exec(line) ?? [];
    if (name !== undefined) {
      const lower = name.toLowerCase();
      section = {
        name: subsection === undefined ? lower : `${lower}.${subsection}`,
        hasSubsection: subsection !== undefined,
      };
      continue;
    }
    const [, key, value] = SETTING.exec(line) ?? [];
    if (section === undefined || key === undefined || value === undefined || DIFFICULT_VALUE.test(value))
      return undefined;
    settings.push({
      key: `${section.name}.${key.toLowerCase()}`,
      hasSubsection: section.hasSubsection,
      // Caches keep settings of many repositories.
      value: keptBytes([Buffer.from(trimmed(value, ' '), 'latin1')]),
    });
  }
  return settings;
}
