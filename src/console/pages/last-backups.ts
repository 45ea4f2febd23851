import { dateOfSeconds } from '#base/date-of-seconds';
import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import type { BackupRun } from '#wire/gen/gitalyts/backups/v1/backups_pb';
import type { ServerInfoResponse } from '#wire/gen/server_pb';
import { wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';

/** A backup of the repositories of a storage: of each program the last one and the last good one. */
export interface ShownBackup {
  readonly storage: string;
  readonly id: string;
  /** Empty for the server itself. */
  readonly program: string;
  readonly time: string;
  readonly repositories: number;
  readonly failed: number;
  readonly failedRepository: string;
  readonly problem: string;
  readonly isEnded: boolean;
}

/** Reads the last backups of all storages; `undefined` if the server does not know them. */
export async function lastBackups(
  { storageStatuses }: Pick<ServerInfoResponse, 'storageStatuses'>,
  connection: Connection,
  calls: CallOptions,
): Promise<readonly ShownBackup[] | undefined> {
  const ofStorages = await Promise.all(
    storageStatuses.map(async ({ storageName }) => {
      const last = await connection.backupRuns.last({ storageName }, calls).catch(() => undefined);
      return last?.runs.map((run) => shownBackup(storageName, run));
    }),
  );
  const known = ofStorages.filter((each) => each !== undefined);
  return known.length === 0 ? undefined : known.flat();
}

function shownBackup(storage: string, run: BackupRun): ShownBackup {
  const { failed, failedRepository, id, isEnded, problem, program, repositories, time } = run;
  return {
    storage,
    id,
    program,
    time: dateOfSeconds(time?.seconds ?? 0n).toISOString(),
    repositories: Number(repositories),
    failed: Number(failed),
    failedRepository,
    problem,
    isEnded,
  };
}

/** Shows the age of the last backups and the failures. */
export function backupsTable(backups: readonly ShownBackup[]): Html {
  return html`<h2>Last backups</h2>
${
  backups.length === 0
    ? html`<p>The server knows of none. It cannot see those that other programs make.</p>`
    : wideTable(
        'Last backups',
        ['Storage', 'Time', 'Made by', 'Backup', 'Repositories', 'Failed', 'Last failure'],
        backups.map((each) => [
          each.storage,
          [instant(new Date(each.time)), each.isEnded ? undefined : html` <em>not ended</em>`],
          each.program || 'this server',
          each.id,
          each.repositories,
          each.failed,
          [each.failedRepository && `${each.failedRepository}: `, each.problem],
        ]),
      )
}`;
}
