import { mkdirSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JsonFields } from '#base/json-fields';

/** A change that may have been made when the server died. */
export interface Intent {
  readonly kind: 'references' | 'created' | 'removed' | 'renamed';
  readonly relativePath: string;
  readonly previousPath?: string;
  /** Last sequence of the journal before the change. */
  readonly after: number;
  /** Values before the change, by full name; `undefined` if any reference may have changed. */
  readonly values?: Readonly<Record<string, string | null>>;
}

const KINDS = ['references', 'created', 'removed', 'renamed'] as const;
const FILE_MODE = 0o600;
const NAME_DIGITS = 12;

/**
 * The changes of one storage that are under way, each a small file: written before references move,
 * removed when its events are in the journal.
 */
export class Intents {
  readonly #directory: string;
  #number = 0;

  /** Creates the directory. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
  }

  /** Writes an intent. @returns its file, for {@link remove}. */
  async write(intent: Intent): Promise<string> {
    const name = `${process.pid}-${String(++this.#number).padStart(NAME_DIGITS, '0')}.json`;
    const file = join(this.#directory, name);
    await writeFile(file, JSON.stringify(intent), { mode: FILE_MODE, flag: 'wx' });
    return file;
  }

  async remove(file: string): Promise<void> {
    await rm(file, { force: true });
  }

  /**
   * Returns what a dead process has left, in the order in which the changes began. One that was not
   * written completely was not followed by a change.
   */
  async left(): Promise<{ readonly files: readonly string[]; readonly intents: readonly Intent[] }> {
    const files = (await readdir(this.#directory)).map((name) => join(this.#directory, name));
    const intents: Intent[] = [];
    for (const file of files) {
      const intent = parseIntent(await readFile(file, 'utf8'));
      if (intent !== undefined) intents.push(intent);
    }
    return { files, intents: intents.sort((one, other) => one.after - other.after) };
  }
}

function parseIntent(text: string): Intent | undefined {
  const fields = JsonFields.parse(text);
  const kind = KINDS.find((known) => known === fields?.text('kind'));
  const after = fields?.number('after');
  const relativePath = fields?.text('relativePath');
  if (kind === undefined || after === undefined || relativePath === undefined) return undefined;
  const previousPath = fields?.text('previousPath');
  const values = fields?.object('values')?.entries();
  return {
    kind,
    after,
    relativePath,
    ...(previousPath !== undefined && { previousPath }),
    ...(values !== undefined && {
      values: Object.fromEntries(
        values.map(([name, value]) => [name, typeof value === 'string' ? value : null]),
      ),
    }),
  };
}
