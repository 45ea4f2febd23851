import { repositoryAddress } from '../console-route.ts';
import { codeFrame } from '../html/elements.ts';
import { type Html, html, type Part, visible } from '../html/html.ts';
import { type ConsolePage, problemPage } from '../page.ts';
import { changeSettings, KNOWN, noticeOf, type RefusedChange, type SettingField } from './change-settings.ts';
import { referenceNamesOf } from './commits/revision-chooser.ts';
import { describedMirror, mirrorData } from './mirrors-page.ts';
import { frame, nameOf } from './repository-frame.ts';
import { digestOf, type RepositorySettings, readRepositorySettings } from './repository-settings.ts';
import type { PlainVisit } from './repository-visit.ts';

/** Larger documents are cut, and not offered for changes: a form has a limit. */
const MAX_RULES = 65_536;
const MAX_DESCRIPTION = 1000;
const HEADS = 'refs/heads/';

/** A page for who may change the settings, with a change that was refused. */
interface Shown {
  readonly visit: PlainVisit;
  readonly settings: RepositorySettings;
  readonly mayChange: boolean;
  readonly refused: RefusedChange | undefined;
}

/** Shows the settings of a repository, and changes them for its administrators. */
export async function settingsPage(visit: PlainVisit): Promise<ConsolePage> {
  const { calls, isPost, path } = visit;
  const administration = await visit.access.administrationAt(path);
  const mayChange = administration !== undefined;
  let refused: RefusedChange | undefined;
  if (isPost) {
    if (!mayChange) return problemPage(403, 'Refused', 'Only administrators may change these settings.');
    const changed = await changeSettings(visit, { ...calls, ...administration });
    if ('title' in changed) return changed;
    refused = changed;
  }
  const settings = await readRepositorySettings(visit);
  const { defaultBranch = null, description, rules = null, rulesProblem = null } = settings;
  const mirror = mayChange ? await visit.mirrors?.stateOf(path) : undefined;
  const shown = { visit, settings, mayChange, refused };
  return {
    ...(refused && { status: 422 }),
    title: `Settings · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      ...{ name: path, description, defaultBranch, rules, rulesProblem, mayChange },
      ...(mirror && { mirror: mirrorData(mirror) }),
      ...(refused && { error: refused.problem }),
    },
    body: html`${frame(visit)}
<h2>Settings</h2>
${notice(noticeOf(visit))}
${mayChange ? undefined : html`<p class="note">Administrators may change these settings.</p>`}
${settings.isComplete ? descriptionPart(shown) : undefined}
${await branchPart(shown)}
${settings.isComplete ? rulesPart(shown) : undefined}
${mirror && html`<h2>Mirror</h2>${describedMirror(mirror)}`}`,
  };
}

function notice(text: string | undefined): Html | undefined {
  return text === undefined ? undefined : html`<p class="notice" role="status">${text}</p>`;
}

function descriptionPart(shown: Shown): Html {
  const { description } = shown.settings;
  const value = fieldValue(shown, 'description', description);
  if (!shown.mayChange) return html`<h3>Description</h3><p>${description || 'There is none.'}</p>`;
  return form(
    shown,
    'description',
    html`<label for="description">Description</label>
<input id="description" name="description" value="${value}"
maxlength="${MAX_DESCRIPTION}" autocomplete="off">`,
  );
}

async function branchPart(shown: Shown): Promise<Html> {
  const { defaultBranch = '' } = shown.settings;
  if (!shown.mayChange)
    return html`<h3>Default branch</h3><p>${defaultBranch || 'HEAD names no branch.'}</p>`;
  const names = await referenceNamesOf(shown.visit, HEADS);
  const options = names.map((name) => html`<option value="${name.slice(HEADS.length)}"></option>`);
  const value = fieldValue(shown, 'defaultBranch', defaultBranch);
  return form(
    shown,
    'defaultBranch',
    html`<label for="branch">Default branch</label>
<input id="branch" name="defaultBranch" list="branches" value="${value}" autocomplete="off" required>
<datalist id="branches">${options}</datalist>`,
  );
}

function rulesPart(shown: Shown): Html {
  const { rules = '', rulesProblem } = shown.settings;
  const isLarge = rules.length > MAX_RULES;
  const problem =
    rulesProblem &&
    html`<p class="problem">The rules cannot be used, so every push is refused: ${rulesProblem}</p>`;
  const about = html`<h3>Rules for pushes</h3>${problem}`;
  if (shown.mayChange && !isLarge) return html`${about}${rulesForm(shown)}`;
  if (rules === '') return html`${about}<p>There are none: who may push may change everything.</p>`;
  const rest = isLarge
    ? html`<p class="note">The document is longer; gitaly-ts repo rules prints and changes it.</p>`
    : undefined;
  return html`${about}${codeFrame('Rules for pushes', rules.slice(0, MAX_RULES))}${rest}`;
}

function rulesForm(shown: Shown): Html {
  const { rules } = shown.settings;
  // In JSON a character may be written by its number. A line feed after the tag is no content.
  const value = visible(fieldValue(shown, 'rules', rules ?? ''), (number) => `\\u${number.toLowerCase()}`);
  return form(
    shown,
    'rules',
    html`<label for="rules">JSON document; empty for no rules</label>
<textarea id="rules" name="rules" rows="16" spellcheck="false">
${value}</textarea>
<input type="hidden" name="${KNOWN}" value="${digestOf(rules)}">`,
  );
}

/** Returns the value of a field: the one that was refused, or the current one. */
function fieldValue({ refused }: Shown, field: SettingField, current: string): string {
  return refused?.field === field ? refused.value.replaceAll('\r\n', '\n') : current;
}

function form({ refused, visit }: Shown, field: SettingField, inputs: Part): Html {
  const { formParameters: query, path } = visit;
  const problem = refused?.field === field ? refused.problem : undefined;
  return html`<form class="setting" method="post" action="${repositoryAddress(path, 'settings', { query })}">
${problem && html`<p class="problem" role="alert">Nothing was changed: ${problem}</p>`}
${inputs}
<button>Change</button>
</form>`;
}
