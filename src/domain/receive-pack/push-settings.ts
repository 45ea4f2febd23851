import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/command/in-process';
import type { HiddenRefs } from '#git/names/hidden-refs';
import { type ReferenceSettings, requireReferenceSettings } from '../git-service/reference-settings.ts';
import { hasCustomHooks } from '../hooks/custom-hook-files.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import { hasRules } from '../hooks/push-rules/repository-rules.ts';
import type { Push } from './push.ts';

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
const NO_REFLOGS = /^core\.logallrefupdates=false$/;
/** Matches settings that are checked here; `reference-settings.ts` checks all others in `core`. */
const OF_PUSHES = /^(?:core\.(?:bare|logallrefupdates)|receive\..*|transfer\..*)=/;

const UNKNOWN = new FallBackToGit('a setting may change the push');

/** Options of `git unpack-objects`, by the settings of the repository and the request. */
const known = new WeakMap<ReferenceSettings, readonly string[] | undefined>();

/** The settings of a push, each read once: the repository's, and those with which git is started. */
export class PushSettings {
  /** The hooks that have an effect on the push. */
  readonly hooks: ReadonlySet<RelayedHook>;
  readonly #push: Pick<Push, 'config' | 'repository'>;
  #references: ReferenceSettings | undefined;

  constructor(push: Pick<Push, 'config' | 'repository'>, hooks: ReadonlySet<RelayedHook> = new Set()) {
    this.#push = push;
    this.hooks = hooks;
  }

  static async read(push: Push, manager: HookManager): Promise<PushSettings> {
    return new PushSettings(push, await neededHooks(manager, push));
  }

  /** References that the client may not see. @throws {FallBackToGit} if only git knows them. */
  get hidden(): HiddenRefs {
    return this.#known.hidden;
  }

  /**
   * Options of `git unpack-objects`.
   *
   * @throws {FallBackToGit} if a setting may have an effect that only git knows.
   */
  get unpackOptions(): readonly string[] {
    const settings = this.#known;
    if (!known.has(settings)) known.set(settings, unpackOptions(settings, this.#push.config));
    const options = known.get(settings);
    if (options === undefined) throw UNKNOWN;
    return options;
  }

  get #known(): ReferenceSettings {
    const { config, repository } = this.#push;
    this.#references ??= requireReferenceSettings(repository, 'receive-pack', config);
    return this.#references;
  }
}

/**
 * Returns the hooks that have an effect on this push. A hook that git does not start costs nothing,
 * and most hooks have nothing to do:
 *
 * - In a cluster, the nodes wait in `pre-receive` for the primary, and vote in
 *   `reference-transaction`. The votes of the other hooks need no process (`push-votes.ts`).
 * - GitLab is called before the push and after it; in a cluster by the primary.
 * - The rules of token and repository, and the files of Git LFS, are checked before the push.
 * - Otherwise a hook runs only if an operator has installed a script.
 */
export async function neededHooks(manager: HookManager, push: Push): Promise<ReadonlySet<RelayedHook>> {
  const { transaction } = push;
  const needed = new Set<RelayedHook>();
  if (transaction !== undefined) needed.add('pre-receive').add('reference-transaction');
  const isSecondary = transaction?.primary === false;
  if (!manager.api.standAlone && !isSecondary) needed.add('pre-receive').add('post-receive');
  const isChecked = hasRules(push.repository) || manager.requiresLfsFiles;
  if (push.pushRules !== undefined || (!isSecondary && isChecked)) needed.add('pre-receive');
  for (const hook of ['pre-receive', 'update', 'post-receive'] as const) {
    // A secondary node waits in `update` for the scripts of the primary, which has the same.
    if (needed.has(hook) || (isSecondary && hook === 'post-receive')) continue;
    if (await hasCustomHooks(push.repository.path, manager.customHooksDirectory, hook)) needed.add(hook);
  }
  return needed;
}

function unpackOptions(
  { settings }: ReferenceSettings,
  config: readonly ConfigPair[],
): readonly string[] | undefined {
  if (!config.every(({ key }) => ONLY_OF_RECEIVE_PACK.test(key))) return undefined;
  const all = settings.map(({ key, value }) => `${key.toLowerCase()}=${value}`);
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
  return checks.areOn ? checks.options() : undefined;
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
