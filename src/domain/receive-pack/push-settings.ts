import { statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/command/in-process';
import type { HiddenRefs } from '#git/names/hidden-refs';
import { readSettings } from '#git/repository-files/config-file';
import type { RepositoryFormat } from '#git/repository-files/repository-format';
import type { Repository } from '#storage/repository';
import { type ReferenceSettings, referenceSettings } from '../git-service/reference-settings.ts';

/** The settings that a push in process follows. */
export interface PushSettings {
  readonly hidden: HiddenRefs;
  /** Options of `git unpack-objects`. */
  readonly unpackOptions: readonly string[];
}

/** Settings of a request that only receive-pack reads; waiting processes do not get others. */
const ONLY_OF_RECEIVE_PACK = /^(?:receive|transfer|uploadpack)\./i;
/** Settings that change nothing for a creation or an update in a bare repository. */
const HARMLESS =
  /^(?:receive\.(?:advertisepushoptions=true|autogc=false|denycurrentbranch=.*|denydeletecurrent=.*|denydeletes=.*|denynonfastforwards=false|hiderefs=.*|updateserverinfo=false)|transfer\.hiderefs=.*)$/;
const FSCK_OBJECTS = /^(receive|transfer)\.fsckobjects=(true|false)$/;
/** The server's own; git warns of unknown ones. */
const FSCK_MESSAGE =
  /^receive\.fsck\.(badtimezone|missingspacebeforedate|zeropaddedfilemode)=(error|ignore|warn)$/;
const MAX_INPUT_SIZE = /^receive\.maxinputsize=(\d+)$/;
/** Settings of the repository: of all others in `core`, {@link referenceSettings} knows the effect. */
const NO_REFLOGS = /^core\.logallrefupdates=false$/;
const OF_PUSHES = /^(?:core\.(?:bare|logallrefupdates)|fsck\..*|receive\..*|transfer\..*)=/;

/** Limit of cached settings per repository: a client repeats its own. */
const MAX_KNOWN = 4;

const UNKNOWN = new FallBackToGit('a setting may change the push');
const OTHER_USER = new FallBackToGit('the repository belongs to another user');
const UNREADABLE = new FallBackToGit('the config file cannot be read');

/** Results for a repository's config file, by the settings of the request, until the file changes. */
const known = new WeakMap<RepositoryFormat, BoundedMap<string, PushSettings | undefined>>();

/**
 * Returns the settings of a push: the repository's, and those with which git would be started.
 *
 * @throws {FallBackToGit} if any of them may have an effect that only git knows.
 */
export function pushSettings(repository: Repository, config: readonly ConfigPair[]): PushSettings {
  // git refuses repositories of other users.
  if (statSync(repository.path, { throwIfNoEntry: false })?.uid !== process.geteuid?.()) throw OTHER_USER;
  try {
    const ofFormat = known.get(repository.format) ?? new BoundedMap({ maxEntries: MAX_KNOWN });
    const key = JSON.stringify(config);
    if (!ofFormat.has(key)) {
      const references = referenceSettings(repository, 'receive-pack', config);
      ofFormat.set(key, references && readPushSettings(repository, config, references));
      known.set(repository.format, ofFormat);
    }
    const settings = ofFormat.get(key);
    if (settings === undefined) throw UNKNOWN;
    return settings;
  } catch (error) {
    throw error instanceof GitalyError ? UNREADABLE : error;
  }
}

function readPushSettings(
  repository: Repository,
  config: readonly ConfigPair[],
  { hidden }: ReferenceSettings,
): PushSettings | undefined {
  if (!config.every(({ key }) => ONLY_OF_RECEIVE_PACK.test(key))) return undefined;
  const own = readSettings(repository) ?? [];
  const given = repository.git.settings('receive-pack', { repository, config });
  const all = [...own, ...given].map(({ key, value }) => `${key.toLowerCase()}=${value}`);
  if (!all.includes('core.bare=true')) return undefined;
  const checks = new ObjectChecks();
  for (const setting of all.filter((each) => OF_PUSHES.test(each))) {
    const isKnown =
      setting === 'core.bare=true' ||
      NO_REFLOGS.test(setting) ||
      HARMLESS.test(setting) ||
      checks.follow(setting);
    if (!isKnown) return undefined;
  }
  // Without these checks, links between the new objects would have to be checked here.
  return checks.areOn ? { hidden, unpackOptions: checks.options() } : undefined;
}

/** The settings that become options of `git unpack-objects`, as receive-pack builds them. */
class ObjectChecks {
  readonly #messages: string[] = [];
  readonly #isOn = new Map<string, boolean>();
  #maxInputSize = '0';

  /** Follows a setting, which overrides an earlier one. Reports whether it is known. */
  follow(setting: string): boolean {
    const [, where, isOn] = FSCK_OBJECTS.exec(setting) ?? [];
    if (where !== undefined) this.#isOn.set(where, isOn === 'true');
    const [, id, level] = FSCK_MESSAGE.exec(setting) ?? [];
    if (id !== undefined) this.#messages.push(`${id}=${level}`);
    const [, size] = MAX_INPUT_SIZE.exec(setting) ?? [];
    if (size !== undefined) this.#maxInputSize = size;
    return (where ?? id ?? size) !== undefined;
  }

  get areOn(): boolean {
    return this.#isOn.get('receive') ?? this.#isOn.get('transfer') ?? false;
  }

  options(): string[] {
    const messages = this.#messages.length === 0 ? '' : `=${this.#messages.join(',')}`;
    return [
      `--strict${messages}`,
      ...(/^0+$/.test(this.#maxInputSize) ? [] : [`--max-input-size=${this.#maxInputSize}`]),
    ];
  }
}
