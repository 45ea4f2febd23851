import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { makeDirectory } from '#base/files/make-directory';
import { replaceFile } from '#base/files/replace-file';
import { JsonFields } from '#base/json-fields';

/** A repository that the server fills from another one. */
export interface Mirror {
  /** Its path in the storage. */
  readonly repository: string;
  /** Without user and password. */
  readonly url: string;
  /** Time between two runs. */
  readonly everySeconds: number;
}

/** The last run of a mirror. */
export interface MirrorRun {
  /** Its end, as ISO 8601. */
  readonly at: string;
  /** Why it failed; `undefined` for success. */
  readonly problem: string | undefined;
  /** Failures since the last success. */
  readonly failures: number;
  /** The end of the last successful run, as ISO 8601. */
  readonly succeededAt: string | undefined;
}

/** A mirror with its last run; `undefined` before the first one. */
export interface MirrorState extends Mirror {
  readonly lastRun: MirrorRun | undefined;
}

const HASH_DIGITS = 32;
const MIRROR = /^([0-9a-f]{32})\.json$/;
const PRIVATE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

/**
 * The mirrors of a server, in files that only its user can read: what it mirrors, the credentials,
 * and the last run. They are not in the repository, so no replica or backup has the credentials.
 */
export class MirrorDirectory {
  readonly path: string;

  /** @param directory of `gitaly-ts up`. */
  constructor(directory: string) {
    this.path = `${directory}/mirrors`;
  }

  /** Returns all mirrors by name. A file that cannot be understood is left out. */
  async list(): Promise<Mirror[]> {
    const names = (await readdir(this.path).catch(ignoreMissing)) ?? [];
    const mirrors: Mirror[] = [];
    for (const name of names.filter((each) => MIRROR.test(each))) mirrors.push(...(await this.#read(name)));
    return mirrors.sort((a, b) => (a.repository < b.repository ? -1 : 1));
  }

  async #read(name: string): Promise<Mirror[]> {
    const fields = JsonFields.parse((await this.#text(name)) ?? '');
    const [repository, url] = [fields?.text('repository'), fields?.text('url')];
    const everySeconds = fields?.number('everySeconds');
    return repository === undefined || url === undefined || everySeconds === undefined
      ? []
      : [{ repository, url, everySeconds }];
  }

  async hasSome(): Promise<boolean> {
    const names = (await readdir(this.path).catch(ignoreMissing)) ?? [];
    return names.some((name) => MIRROR.test(name));
  }

  /** Returns all mirrors by name, with their last runs. */
  async states(): Promise<MirrorState[]> {
    return await Promise.all((await this.list()).map((mirror) => this.#withRun(mirror)));
  }

  async stateOf(repository: string): Promise<MirrorState | undefined> {
    const mirror = await this.find(repository);
    return mirror && (await this.#withRun(mirror));
  }

  async #withRun(mirror: Mirror): Promise<MirrorState> {
    return { ...mirror, lastRun: await this.lastRun(mirror.repository) };
  }

  async find(repository: string): Promise<Mirror | undefined> {
    return (await this.#read(`${keyOf(repository)}.json`))[0];
  }

  /** Sets a mirror, which runs soon. @param credentials empty for none. */
  async set(mirror: Mirror, credentials: string): Promise<void> {
    await makeDirectory(this.path, { mode: PRIVATE_DIRECTORY });
    const key = keyOf(mirror.repository);
    await this.remove(mirror.repository);
    if (credentials !== '') await this.#write(`${key}.credentials`, credentials);
    await this.#write(`${key}.json`, JSON.stringify(mirror));
  }

  async remove(repository: string): Promise<void> {
    for (const end of ['json', 'run', 'credentials'])
      await rm(`${this.path}/${keyOf(repository)}.${end}`, { force: true });
  }

  /** Returns the credentials of a mirror, empty for none. */
  async credentials(repository: string): Promise<string> {
    return (await this.#text(`${keyOf(repository)}.credentials`)) ?? '';
  }

  async lastRun(repository: string): Promise<MirrorRun | undefined> {
    const fields = JsonFields.parse((await this.#text(`${keyOf(repository)}.run`)) ?? '');
    const at = fields?.text('at');
    if (at === undefined) return undefined;
    return {
      at,
      problem: fields?.text('problem'),
      failures: fields?.number('failures') ?? 0,
      succeededAt: fields?.text('succeededAt'),
    };
  }

  async report(repository: string, run: MirrorRun): Promise<void> {
    await this.#write(`${keyOf(repository)}.run`, JSON.stringify(run));
  }

  async #text(name: string): Promise<string | undefined> {
    return await readFile(`${this.path}/${name}`, 'utf8').catch(ignoreMissing);
  }

  async #write(name: string, content: string): Promise<void> {
    await replaceFile(`${this.path}/${name}`, content, { durable: true, mode: PRIVATE });
  }
}

function keyOf(repository: string): string {
  return createHash('sha256').update(repository).digest('hex').slice(0, HASH_DIGITS);
}

/** Describes a mirror and its last run, in one line. */
export function describeMirror({ everySeconds, lastRun: last, url }: MirrorState): string {
  const result =
    last === undefined
      ? 'has not run yet'
      : last.problem === undefined
        ? `updated ${last.at}`
        : `failed ${last.at}: ${last.problem} (last success: ${last.succeededAt ?? 'none'})`;
  return `${url}  every ${everySeconds} s  ${result}`;
}
