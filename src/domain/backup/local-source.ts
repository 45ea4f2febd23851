import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import type { OidList } from '#git/names/oid-set';
import { archiveTree } from '#storage/archive/archive-tree';
import type { Repository } from '#storage/repository';
import type { BundleSelection } from '../bundle/bundle-selection.ts';
import { bundleOfAll, bundleOfSelection } from '../bundle/create-bundle.ts';
import { HOOKS_NAME } from '../custom-hooks/set-hooks.ts';
import type { BackupSource } from './backup-source.ts';
import { referenceLines } from './reference-lines.ts';

const CHECK = gitCommand('cat-file', { options: ['--batch-check=%(objecttype)', '--buffer'].map(flag) });
const MISSING = Buffer.from(' missing');
/** Object ids that are passed to git at once. */
const BATCH = 1024;

/** The contents of a repository in a storage of this server. */
export class LocalSource implements BackupSource {
  readonly #open: () => Repository;
  readonly #signal: AbortSignal;

  /** @param open throws NOT_FOUND for a repository that does not exist. */
  constructor(open: () => Repository, signal: AbortSignal) {
    this.#open = open;
    this.#signal = signal;
  }

  async objectFormat(): Promise<string> {
    return this.#open().objectFormat;
  }

  async headReference(): Promise<string> {
    try {
      return (await this.#open().refs.headTarget({ signal: this.#signal })).toString();
    } catch (error) {
      if (error instanceof GitExitError) return '';
      throw error;
    }
  }

  referenceLines(): AsyncIterable<Buffer> {
    return referenceLines(this.#open(), this.#signal);
  }

  bundle(selection?: BundleSelection): AsyncIterable<Buffer> {
    const options = { signal: this.#signal };
    return selection === undefined
      ? bundleOfAll(this.#open(), options)
      : bundleOfSelection(this.#open(), selection, options);
  }

  async hasObjects(oids: OidList): Promise<boolean> {
    if (oids.size === 0) return true;
    // A process that was started before can still read a pack that was removed.
    const options = { input: linesOf(oids), signal: this.#signal };
    for await (const lines of outputLines(this.#open(), CHECK, options))
      if (lines.some((line) => line.subarray(-MISSING.length).equals(MISSING))) return false;
    return true;
  }

  customHooks(): AsyncIterable<Uint8Array> {
    const directory = `${this.#open().path}/${HOOKS_NAME}`;
    return archiveTree(directory, { name: HOOKS_NAME, signal: this.#signal });
  }
}

function* linesOf(oids: OidList): Generator<Buffer> {
  let batch: string[] = [];
  for (const oid of oids) {
    batch.push(oid);
    if (batch.length < BATCH) continue;
    yield Buffer.from(`${batch.join('\n')}\n`);
    batch = [];
  }
  yield Buffer.from(batch.map((oid) => `${oid}\n`).join(''));
}
