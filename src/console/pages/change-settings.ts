import { codeOf, messageOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import type { Repository, SetRulesOptions } from '#client/repository/index';
import { repositoryAddress } from '../console-route.ts';
import { type ConsolePage, problemPage } from '../page.ts';
import { digestOf } from './repository-settings.ts';
import type { PlainVisit } from './repository-visit.ts';

/** A change that was refused: the fields of its form are shown again. */
export interface RefusedChange {
  readonly field: SettingField;
  readonly value: string;
  readonly problem: string;
}

interface Setting {
  /** Report of the page after a change. */
  readonly notice: string;
  /** Makes the change. @throws {GitalyError} if it is refused. */
  set(repository: Repository, value: string, calls: SetRulesOptions): Promise<void>;
}

export type SettingField = 'description' | 'defaultBranch' | 'rules';

/** Settings by the field of their form. */
const SETTINGS: Readonly<Record<SettingField, Setting>> = {
  description: {
    notice: 'The description was changed.',
    set: (repository, text, calls) => repository.setDescription(text.trim(), calls),
  },
  defaultBranch: {
    notice: 'The default branch was changed.',
    set: (repository, name, calls) => repository.setDefaultBranch(name, calls),
  },
  rules: {
    notice: 'The rules were changed. They apply from the next push on.',
    set: (repository, text, calls) => {
      const document = text.replaceAll('\r\n', '\n'); // forms have lines of the internet
      return repository.setRules(document.trim() === '' ? undefined : document, calls);
    },
  },
};
const FIELDS = Object.keys(SETTINGS) as readonly SettingField[]; // the keys of the table
/** Parameter of the address after a change. */
const CHANGED = 'changed';
/** Field with the digest of the rules that the form showed. */
export const KNOWN = 'known';
/** Refusals of a value; other errors are those of the server. */
const REFUSALS: ReadonlySet<string> = new Set(['ABORTED', 'INVALID_ARGUMENT', 'NOT_FOUND']);
const CHANGED_MEANWHILE =
  'Somebody has changed the rules since you opened this page, so nothing was changed. Sending these ' +
  'replaces them.';

/** Returns what the page reports after a change. */
export function noticeOf({ query }: PlainVisit): string | undefined {
  const field = FIELDS.find((each) => each === query.get(CHANGED));
  return field && SETTINGS[field].notice;
}

/** Makes the change of a form. @returns the page to go to, or the refused change. */
export async function changeSettings(
  visit: PlainVisit,
  calls: CallOptions,
): Promise<ConsolePage | RefusedChange> {
  const { connection, form, path, repository } = visit;
  const field = FIELDS.find((each) => form.has(each));
  if (field === undefined) return problemPage(400, 'Not possible', 'The form names no setting to change.');
  const value = form.get(field) ?? '';
  try {
    let options: SetRulesOptions = calls;
    if (field === 'rules' && form.has(KNOWN)) {
      const { rules } = await connection.settings.get({ repository: repository.message }, calls);
      if (form.get(KNOWN) !== digestOf(Buffer.from(rules).toString()))
        return { field, value, problem: CHANGED_MEANWHILE };
      options = { ...calls, expected: rules };
    }
    await SETTINGS[field].set(repository, value, options);
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!REFUSALS.has(code)) throw error;
    const isChanged = field === 'rules' && code === 'ABORTED';
    return { field, value, problem: isChanged ? CHANGED_MEANWHILE : messageOf(error) };
  }
  const location = repositoryAddress(path, 'settings', { query: { [CHANGED]: field } });
  return { ...problemPage(200, 'Changed', SETTINGS[field].notice), location };
}
