import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import { type ArchiveStatus, ArchiveStatus_State } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import type { ServerInfoResponse } from '#wire/gen/server_pb';
import { wideTable } from '../html/elements.ts';
import { formatDuration } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';

/** How far the archive of a storage is. */
export interface ShownArchive {
  readonly storage: string;
  readonly url: string;
  readonly state: string;
  /** Changes that are not archived; `null` while that is not known. */
  readonly waitingChanges: number | null;
  readonly behindMs: number;
  readonly problem: string;
}

const STATES = {
  [ArchiveStatus_State.UNSPECIFIED]: 'not known',
  [ArchiveStatus_State.WAITING]: 'waiting for the bucket',
  [ArchiveStatus_State.LIVE]: 'live',
  [ArchiveStatus_State.REFUSED]: 'another server writes to it',
  [ArchiveStatus_State.ENDED]: 'ended',
} as const;

/** Reads the archives of all storages; `undefined` without any. */
export async function archiveStates(
  { storageStatuses }: Pick<ServerInfoResponse, 'storageStatuses'>,
  connection: Connection,
  calls: CallOptions,
): Promise<readonly ShownArchive[] | undefined> {
  const ofStorages = await Promise.all(
    storageStatuses.map(async ({ storageName }) => {
      const status = await connection.archives.getStatus({ storageName }, calls).catch(() => undefined);
      return (status?.archives ?? []).map((archive) => shownArchive(storageName, archive));
    }),
  );
  const known = ofStorages.flat();
  return known.length === 0 ? undefined : known;
}

function shownArchive(storage: string, archive: ArchiveStatus): ShownArchive {
  const { archivedEvent, behind, failed, isComplete, lastEvent, problem, state, url } = archive;
  const failures = failed.length === 0 ? '' : `${failed.length} repositories are not archived. `;
  return {
    storage,
    url,
    state: state === ArchiveStatus_State.LIVE && !isComplete ? 'live, compares all' : STATES[state],
    waitingChanges: archivedEvent === undefined ? null : Number(lastEvent - archivedEvent),
    behindMs: Number(behind?.seconds ?? 0n) * 1000 + (behind?.nanos ?? 0) / 1e6,
    problem: failures + problem,
  };
}

/** Shows how far archives are behind their storages. */
export function archivesTable(archives: readonly ShownArchive[]): Html {
  return html`<h2>Archives</h2>
${wideTable(
  'Archives',
  ['Storage', 'Archive', 'State', 'Changes that wait', 'Behind', 'Last problem'],
  archives.map(({ behindMs, problem, state, storage, url, waitingChanges }) => [
    storage,
    url,
    state,
    waitingChanges ?? 'not known',
    formatDuration(behindMs),
    problem,
  ]),
)}`;
}
