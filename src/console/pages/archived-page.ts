import { dateOfSeconds } from '#base/date-of-seconds';
import { codeOf, messageOf } from '#base/gitaly-error';
import { eachItem } from '#client/content/collect/each-item';
import type { Generation } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { repositoryAddress } from '../console-route.ts';
import { wideTable } from '../html/elements.ts';
import { formatCount, instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import { type ConsolePage, problemPage } from '../page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { PlainVisit } from './repository-visit.ts';

const LIMIT = 100;
/** A browser waits for the restore of a large repository. */
const RESTORE_TIMEOUT_MS = 600_000;
/** Refusals of a restore; other errors are those of the server. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ALREADY_EXISTS',
  'DATA_LOSS',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
]);

/** Lists the archived states of a repository, and restores one as a new repository for administrators. */
export async function archivedPage(visit: PlainVisit): Promise<ConsolePage> {
  const { isPost, path } = visit;
  const mayRestore = (await visit.access.administrationAt(path)) !== undefined;
  let problem: string | undefined;
  if (isPost) {
    if (!mayRestore) return problemPage(403, 'Refused', 'Only administrators may restore a repository.');
    const restored = await restore(visit);
    if (typeof restored !== 'string') return restored;
    problem = restored;
  }
  const generations = await generationsOf(visit);
  const none = html`<p>The archive has none yet.</p>`;
  const shown = generations.length === 0 ? none : list(visit, generations, { mayRestore, problem });
  return {
    ...(problem !== undefined && { status: 422 }),
    title: `Archived · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      ...{ name: path, mayRestore },
      generations: generations.map(({ changedReferences, kind, number, time }) => ({
        generation: Number(number),
        time: dateOfSeconds(time?.seconds ?? 0n).toISOString(),
        kind,
        changedReferences: Number(changedReferences),
      })),
      ...(problem !== undefined && { error: problem }),
    },
    body: html`${frame(visit)}
<h2>Archived states</h2>
${shown}`,
  };
}

/** Reads the latest states; none if the storage has no archive. */
async function generationsOf({ calls, connection, path, storage }: PlainVisit): Promise<Generation[]> {
  const request = { storageName: storage, relativePath: path, limit: LIMIT };
  const responses = connection.archives.listGenerations(request, calls);
  try {
    return await Array.fromAsync(eachItem(responses, (response) => response.generations));
  } catch (error) {
    if (!['NOT_FOUND', 'UNIMPLEMENTED'].includes(codeOf(error) ?? '')) throw error;
    return [];
  }
}

/** Restores the chosen state. @returns the page after it, or why it was refused. */
async function restore(visit: PlainVisit): Promise<ConsolePage | string> {
  const { access, connection, form, path, signal, storage } = visit;
  const [chosen = '', name = ''] = [form.get('generation'), form.get('name')?.trim()].map(String);
  const [, generation, repositoryId = ''] = /^(\d{1,12})(?:@([\da-f-]{1,36}))?$/.exec(chosen) ?? [];
  if (generation === undefined || name === '') return 'Choose a state, and a name.';
  const to = name.endsWith('.git') ? name : `${name}.git`;
  if ((await access.administrationAt(to)) === undefined) return `You may not create ${name}.`;
  const request = {
    ...{ storageName: storage, relativePath: path, repositoryId, toRelativePath: to },
    at: { case: 'generation' as const, value: BigInt(generation) },
  };
  try {
    const calls = { signal, timeoutMs: RESTORE_TIMEOUT_MS };
    const [restored] = await Array.fromAsync(connection.archives.restore(request, calls));
    if (restored !== undefined && restored.problem !== '') return incompletePage(to, restored.problem);
  } catch (error) {
    if (!REFUSALS.has(codeOf(error) ?? '')) throw error;
    return messageOf(error);
  }
  return { ...problemPage(200, 'Restored', `Restored ${name}.`), location: repositoryAddress(to, 'files') };
}

/** Names the files of Git LFS that a restored repository lacks, which its own pages do not show. */
function incompletePage(path: string, problem: string): ConsolePage {
  const title = 'Restored without all files';
  return {
    title,
    section: 'repositories',
    data: { restored: path, problem },
    body: html`<h1>${title}</h1>
<p><a href="${repositoryAddress(path, 'files')}">${nameOf(path)}</a> was restored, but ${problem}.</p>`,
  };
}

function list(
  { formParameters: query, path }: PlainVisit,
  generations: readonly Generation[],
  { mayRestore, problem }: { readonly mayRestore: boolean; readonly problem: string | undefined },
): Html {
  const rows = generations.map((generation, index) => row(generation, mayRestore, index === 0));
  const states = wideTable('Archived states', ['State', 'Time', 'Change'], rows);
  const more =
    generations.length === LIMIT ? html`<p class="note">Older states: gitaly-ts repo log.</p>` : undefined;
  if (!mayRestore) return html`${states}${more}`;
  return html`<form class="setting" method="post" action="${repositoryAddress(path, 'archived', { query })}">
${problem && html`<p class="problem" role="alert">Nothing was restored: ${problem}</p>`}
${states}${more}
<label for="name">Name of the restored repository</label>
<input id="name" name="name" value="${nameOf(path)}-restored" autocomplete="off" required>
<button>Restore</button>
</form>`;
}

function row(
  { changedReferences, changedSettings, kind, number, repositoryId, time }: Generation,
  mayRestore: boolean,
  isFirst: boolean,
): Part[] {
  const changes = [
    kind === 'write' ? undefined : kind,
    changedReferences > 0n ? formatCount(Number(changedReferences), 'reference') : undefined,
    ...changedSettings,
  ];
  const checked = isFirst ? html` checked` : undefined;
  const value = `${number}@${repositoryId}`;
  const choice = html`<label>
<input type="radio" name="generation" value="${value}"${checked}> ${String(number)}</label>`;
  return [
    mayRestore && kind !== 'removed' ? choice : String(number),
    instant(dateOfSeconds(time?.seconds ?? 0n)),
    changes.filter((each) => each !== undefined).join(', '),
  ];
}
