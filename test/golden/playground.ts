import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runSync } from '#testkit/run-program-sync';
import type { GitHttpServer } from '#testkit/servers/git-http-server';
import type { InternalApi } from '#testkit/servers/internal-api';
import type { TestGitaly } from '#testkit/start-gitaly';
import { methodByPath } from '#wire/methods';
import { bytesAsText } from './bytes-as-text.ts';
import { withoutEmptyLists, withoutLists } from './leftovers.ts';
import type { Json, JsonObject, RecordedCase } from './recorded-case.ts';
import { StorageCopy } from './storage-copy.ts';
import { AS_NEWER_GIT, type Templates } from './templates.ts';

/** In these areas standard error was recorded together with standard output. */
const AREAS_WITH_STDERR = /^(repository|objectpool|smarthttp|misc)/;

/** Matches commands whose output may depend on more than the storages' repositories. */
const LOOKS_ELSEWHERE = /\.\.|\$(?:STORAGE|SECOND|HOME)|\bdate\b/;

/** Matches commands that change settings, which running processes of git have already read. */
const SETS_CONFIG = /\bconfig\b/;
/** Finds setups that remove objects: the server keeps small ones that it has read for minutes. */
const REMOVES_OBJECTS = /\brm -r?f objects\//;

/** Default response of the recordings' internal API. */
const ALLOW: Readonly<Record<string, Json>> = {
  '/allowed': [200, { status: true }],
  '/pre_receive': [200, { reference_counter_increased: true }],
  '/post_receive': [200, { reference_counter_decreased: true, messages: [] }],
};

/**
 * The storages of one server, prepared for each case, and the conversion between its paths and the
 * recordings' placeholders.
 */
export class Playground {
  readonly #area: string;
  readonly #gitaly: TestGitaly;
  readonly #templates: Templates;
  readonly #copies: { readonly default: StorageCopy; readonly second: StorageCopy };
  /** Outputs of `after` commands in storages that the call has not changed. */
  readonly #outputs = new Map<string, string>();
  readonly #api: InternalApi;
  readonly #web: GitHttpServer;
  /** The repositories of the last case if it only read them. */
  #layout: string | undefined;
  /** True if the repositories are as before the call; `undefined` if it is not known. */
  #isIntact: boolean | undefined;

  constructor(parts: {
    area: string;
    gitaly: TestGitaly;
    templates: Templates;
    api: InternalApi;
    web: GitHttpServer;
  }) {
    this.#area = parts.area;
    this.#gitaly = parts.gitaly;
    this.#templates = parts.templates;
    const mayRepair = parts.gitaly.nodes.length === 1; // a cluster replicates new repositories
    this.#copies = {
      default: new StorageCopy(this.#storage, parts.templates, { mayRepair }),
      second: new StorageCopy(this.#second, parts.templates, { mayRepair }),
    };
    this.#api = parts.api;
    this.#web = parts.web;
  }

  /** Returns the reason why the case cannot be replayed on this machine, if any. */
  cannotPlay(recorded: RecordedCase): string | undefined {
    const rewrites = recorded.rpc === 'CleanupService/RewriteHistory' && recorded.status.code === 'OK';
    if (rewrites && !hasFilterRepo()) return 'git filter-repo is not installed';
    const missing = namesOf(recorded).find((name) => !this.#templates.has(name));
    return missing === undefined ? undefined : `git of this machine cannot make the template ${missing}`;
  }

  /** Prepares the storages as they were before the recorded call. */
  async prepare(recorded: RecordedCase): Promise<void> {
    this.#api.reset({ ...ALLOW, ...recorded.given?.api });
    const files = Object.entries(recorded.http_files ?? {});
    this.#web.reset(Object.fromEntries(files.map(([name, data]) => [name, Buffer.from(data, 'base64')])));
    const isIntact = this.#isIntact === true;
    this.#isIntact = undefined;
    const layout = onlyReads(recorded) ? JSON.stringify(namesOf(recorded)) : undefined;
    // the case before this one had the same repositories and did not change them
    if (layout !== undefined && layout === this.#layout) return;
    this.#layout = layout;

    for (const storage of [this.#storage, this.#second]) emptyTemporary(storage);
    const { setup } = recorded.given ?? {};
    const isAnew = setup !== undefined && (SETS_CONFIG.test(setup) || REMOVES_OBJECTS.test(setup));
    this.#copies.default.restore(namesOf(recorded), { isAnew, isIntact });
    this.#copies.second.restore([]);
    this.#writeHooks(join(this.#gitaly.directory, 'custom_hooks'), recorded.given?.custom_hooks ?? {});
    if (recorded.repo !== undefined)
      this.#writeHooks(join(this.#repository(recorded), 'custom_hooks'), recorded.given?.repo_hooks ?? {});
    if (setup !== undefined) this.#shell(recorded, setup);
  }

  /** Empties the bucket of the recorded configurations. */
  removeBackups(): void {
    const bucket = join(this.#gitaly.directory, 'bk');
    rmSync(bucket, { recursive: true, force: true });
    mkdirSync(bucket);
  }

  /**
   * Returns the outputs of the `after` commands on each node of a cluster that has executed the
   * call to its end: a failure of the first ends it on the others.
   */
  runAfter(recorded: RecordedCase): JsonObject[][] {
    const isRead = methodByPath(`/gitaly.${recorded.rpc}`)?.operation === 'accessor';
    const isOnAll = !isRead && recorded.status.code === 'OK';
    const nodes = isOnAll ? this.#gitaly.nodes : [this.#gitaly];
    return nodes.map(({ directory }) =>
      (recorded.after ?? []).map(({ run }) => ({
        stdout:
          directory === this.#gitaly.directory
            ? this.#outputOf(recorded, run)
            : this.#shell(recorded, run, directory),
      })),
    );
  }

  /** Runs a command unless its output is known, because nothing in the storages has changed. */
  #outputOf(recorded: RecordedCase, run: string): string {
    const isKnowable =
      !LOOKS_ELSEWHERE.test(withoutLists(run)) &&
      [this.#storage, this.#second].every((storage) => readdirSync(temporaryOf(storage)).length === 0) &&
      this.#areCopiesIntact();
    if (!isKnowable) return this.#shell(recorded, run);
    const key = JSON.stringify([recorded.repo, namesOf(recorded), run]);
    const output = this.#outputs.get(key) ?? this.#shell(recorded, run);
    this.#outputs.set(key, output);
    return output;
  }

  /** Reports whether the repositories are as they were before the call; looks once for all commands. */
  #areCopiesIntact(): boolean {
    this.#isIntact ??= [this.#copies.default, this.#copies.second].every((copy) => copy.isRestored());
    return this.#isIntact;
  }

  apiCalls(): Json[] {
    return this.#api.calls.map(({ method, path, body }) => ({
      method,
      path: path.split('?', 1)[0] ?? '',
      body,
    }));
  }

  httpCalls(): Json[] {
    return this.#web.calls.map((call) => ({ ...call }));
  }

  metadataValue(value: string): string {
    return value
      .replaceAll('<DIR>', this.#gitaly.directory)
      .replaceAll('<TEMPLATES>', this.#templates.directory)
      .replaceAll('<SERVERS>', this.#servers);
  }

  /** Replaces the placeholders in requests, also inside byte fields. */
  withoutPlaceholders(json: Json): Json {
    return mapStrings(json, (text) =>
      text
        .replaceAll('<DIR>', this.#gitaly.directory)
        .replaceAll('<HTTP>', this.#web.url)
        .replaceAll('<HTTPPORT>', String(this.#web.port)),
    );
  }

  /**
   * Replaces the server's directory by `<DIR>`; `compare.ts` handles random parts of temporary
   * names.
   */
  withPlaceholders(json: JsonObject): JsonObject {
    const { url, port } = this.#web;
    const placed = mapStrings(json, (text) =>
      this.#withoutNodes(text)
        .replaceAll(url, '<HTTP>')
        .replaceAll(new URL(url).host, '<HTTP>')
        .replaceAll(`.invalid:${port}`, '.invalid:<HTTPPORT>'),
    );
    // mapStrings keeps the type of the value.
    return placed as JsonObject;
  }

  #withoutNodes(text: string): string {
    const { nodes } = this.#gitaly;
    for (const { directory } of nodes) {
      text = text
        .replaceAll(directory, '<DIR>')
        // Some commands of the recordings replace long numbers, such as that of a process.
        .replaceAll(directory.replace(/\d{5,}/g, 'N'), '<DIR>');
    }
    // The storages of a cluster's nodes have different names.
    return nodes.length === 1 ? text : text.replace(/\b(default|second)-\d\b/g, '$1');
  }

  /** Address of this server, for both storages. */
  get #servers(): string {
    const server = { address: this.#gitaly.address, token: '' };
    return Buffer.from(JSON.stringify({ default: server, second: server })).toString('base64');
  }

  get #storage(): string {
    return join(this.#gitaly.directory, 'default');
  }

  get #second(): string {
    return join(this.#gitaly.directory, 'second');
  }

  #repository(recorded: RecordedCase, directory = this.#gitaly.directory): string {
    return join(directory, 'default', `${recorded.repo}.git`);
  }

  #writeHooks(directory: string, files: Readonly<Record<string, string>>): void {
    if (directory.startsWith(join(this.#gitaly.directory, 'custom_hooks')))
      rmSync(directory, { recursive: true, force: true });
    for (const [name, text] of Object.entries(files)) {
      const path = join(directory, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      chmodSync(path, 0o755);
    }
  }

  #shell(recorded: RecordedCase, script: string, directory = this.#gitaly.directory): string {
    const storage = join(directory, 'default');
    const inRepository = recorded.repo === undefined ? storage : this.#repository(recorded, directory);
    const withStderr = AREAS_WITH_STDERR.test(this.#area) && recorded.given?.setup !== script;
    const cwd = this.#isDirectory(inRepository) ? inRepository : storage;
    if (this.#isIntact === true) this.#isIntact = undefined; // until it is looked at again
    const text = withStderr ? `exec 2>&1; ${script}` : withoutEmptyLists(script, cwd);
    const { stdout } = runSync('sh', ['-c', text], {
      cwd,
      env: {
        HOME: directory,
        // Outside a repository git reports if it stopped at the mount point of another file system.
        GIT_CEILING_DIRECTORIES: dirname(directory),
        STORAGE: storage,
        SECOND: join(directory, 'second'),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_SYSTEM: '/dev/null',
        GIT_AUTHOR_NAME: 'Ann Author',
        GIT_AUTHOR_EMAIL: 'ann@example.com',
        GIT_COMMITTER_NAME: 'Cal Committer',
        GIT_COMMITTER_EMAIL: 'cal@example.com',
        ...AS_NEWER_GIT,
        TZ: 'UTC',
        LC_ALL: 'C',
      },
    });
    return (
      bytesAsText(stdout)
        // Only older gits print this in fsck.
        .replace(/^notice: HEAD points to an unborn branch .*\n/gm, '')
    );
  }

  #isDirectory(path: string): boolean {
    try {
      readdirSync(path);
      return true;
    } catch {
      return false; // missing, or a file: the case is about that
    }
  }
}

/**
 * Reports whether a case leaves the repositories unchanged: its method only reads, and it has no
 * preparations.
 */
function onlyReads(recorded: RecordedCase): boolean {
  // It changes the other side, which lies in the same storage.
  if (recorded.rpc === 'RemoteService/UpdateRemoteMirror') return false;
  return recorded.given === undefined && methodByPath(`/gitaly.${recorded.rpc}`)?.operation === 'accessor';
}

/** Removes what calls have left in a storage's directory of temporary files. */
function emptyTemporary(storage: string): void {
  const directory = temporaryOf(storage);
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
}

function temporaryOf(storage: string): string {
  return join(storage, '+gitaly/tmp');
}

function namesOf(recorded: RecordedCase): string[] {
  return [...(recorded.repo === undefined ? [] : [recorded.repo]), ...(recorded.others ?? [])];
}

/**
 * Applies `change` to every string; a base64 string whose content changes is decoded, changed and
 * encoded again.
 */
function mapStrings(json: Json, change: (text: string) => string): Json {
  if (typeof json === 'string') return changeText(json, change);
  if (Array.isArray(json)) return json.map((item) => mapStrings(item, change));
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, mapStrings(value, change)]));
}

function changeText(text: string, change: (text: string) => string): string {
  const changed = change(text);
  if (changed !== text) return changed;
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== text) return text;
  const decoded = bytes.toString('latin1');
  return change(decoded) === decoded ? text : Buffer.from(change(decoded), 'latin1').toString('base64');
}

function hasFilterRepo(): boolean {
  return runSync('git', ['filter-repo', '--version']).code === 0;
}
