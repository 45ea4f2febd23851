import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { JsonFields } from '#base/json-fields';
import type { Storage } from '#storage/repository-target';
import { backupsRoot, DIRECTORY_MODE } from '#storage/storage-layout';
import { type BackupRun, keptRuns, lastRuns, mergeRuns } from './backup-runs.ts';

export interface LastBackupsOptions {
  /** Number of this process among those of the server. Each process writes its own file. */
  readonly process: number;
  /** Called when a result cannot be stored; the backup itself is not affected. */
  readonly onProblem: (error: unknown, storage: string) => void;
}

const FILE_NAME = /^\d+\.json$/;

/** Remembers the last backups of each storage, also over restarts, in files of the storage. */
export class LastBackups {
  readonly #options: LastBackupsOptions;
  readonly #storages = new Map<string, RunFile>();

  constructor(options: LastBackupsOptions) {
    this.#options = options;
  }

  /** Notes that the server has stored a repository. */
  async stored(storage: Storage, id: string): Promise<void> {
    await this.#change(storage, (runs) => [...runs, { ...counted(id), repositories: 1 }]);
  }

  /** Notes that the server could not store a repository. */
  async failed(storage: Storage, id: string, repository: string, problem: string): Promise<void> {
    const run = counted(id);
    const failure = { repository, problem, timeMs: run.timeMs };
    await this.#change(storage, (runs) => [...runs, { ...run, failed: 1, failure }]);
  }

  /** Notes that a backup has ended; other processes and nodes may have stored its repositories. */
  async ended(storage: Storage, id: string): Promise<void> {
    await this.#change(storage, (runs) => [...runs, { ...counted(id), isEnded: true }]);
  }

  /** Notes the backup of a program. */
  async reported(storage: Storage, run: BackupRun): Promise<void> {
    await this.#change(storage, (runs) => [...runs, run]);
  }

  /** Returns the last backups that any process of the server has recorded. */
  async last(storage: Storage): Promise<BackupRun[]> {
    return lastRuns(await this.all(storage));
  }

  /** Returns all recorded runs, so that those of several servers can be merged. */
  async all(storage: Storage): Promise<BackupRun[]> {
    await this.#storages.get(storage.name)?.settled();
    const directory = backupsRoot(storage);
    const names = (await readdir(directory).catch(ignoreMissing)) ?? [];
    const all = await Promise.all(
      names.filter((name) => FILE_NAME.test(name)).map((name) => readRuns(join(directory, name))),
    );
    return mergeRuns(all.flat());
  }

  async #change(storage: Storage, apply: Change): Promise<void> {
    const { onProblem, process: number } = this.#options;
    let file = this.#storages.get(storage.name);
    if (file === undefined) {
      file = new RunFile(backupsRoot(storage), `${number}.json`);
      this.#storages.set(storage.name, file);
    }
    await file.change(apply).catch((error: unknown) => onProblem(error, storage.name));
  }
}

function counted(id: string): BackupRun {
  return { id, program: '', timeMs: Date.now(), repositories: 0, failed: 0, isEnded: false };
}

type Change = (runs: readonly BackupRun[]) => readonly BackupRun[];

/** The file of this process for a storage. Changes during a write are written together. */
class RunFile {
  readonly #directory: string;
  readonly #path: string;
  #runs: readonly BackupRun[] | undefined;
  #changes: Change[] = [];
  #writing: Promise<void> | undefined;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#path = join(directory, name);
  }

  /** Resolves when the change is in the file. */
  async change(apply: Change): Promise<void> {
    this.#changes.push(apply);
    this.#writing ??= this.#write();
    await this.#writing;
  }

  /** Resolves when no change is on its way. */
  async settled(): Promise<void> {
    await this.#writing?.catch(() => {}); // it was reported
  }

  async #write(): Promise<void> {
    try {
      this.#runs ??= await readRuns(this.#path);
      while (this.#changes.length > 0) {
        const changes = this.#changes;
        this.#changes = [];
        for (const apply of changes) this.#runs = keptRuns(mergeRuns(apply(this.#runs)));
        await this.#save(this.#runs);
      }
    } finally {
      this.#changes = []; // after a failure, of which all that wait are told
      this.#writing = undefined;
    }
  }

  async #save(runs: readonly BackupRun[]): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
    await replaceFile(this.#path, JSON.stringify({ runs }), { durable: false });
  }
}

/**
 * Returns the backups in a file; none if the file is damaged, for example after a power failure.
 */
async function readRuns(path: string): Promise<BackupRun[]> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing);
  const runs = JsonFields.parse(text ?? '')?.value('runs');
  return Array.isArray(runs) ? runs.flatMap((each) => parseRun(JsonFields.of(each))) : [];
}

function parseRun(fields: JsonFields | undefined): BackupRun[] {
  const [id, timeMs] = [fields?.text('id'), fields?.number('timeMs')];
  if (fields === undefined || id === undefined || timeMs === undefined) return [];
  const failure = fields.object('failure');
  return [
    {
      id,
      program: fields.text('program') ?? '',
      timeMs,
      repositories: fields.number('repositories') ?? 0,
      failed: fields.number('failed') ?? 0,
      ...(failure && {
        failure: {
          repository: failure.text('repository') ?? '',
          problem: failure.text('problem') ?? '',
          timeMs: failure.number('timeMs') ?? timeMs,
        },
      }),
      isEnded: fields.value('isEnded') === true,
    },
  ];
}
