import type { GitCapabilities, GitCapability } from '#git/command/capabilities';
import { FallBackToGit } from '#git/command/in-process';
import type { LineRule } from './line-rule.ts';
import * as scripts from './script-languages.ts';
import * as systems from './system-languages.ts';

/** Rules of a driver; from some version of git on, others. */
interface BuiltInDriver {
  /** `undefined` if older versions lack the driver. */
  readonly rules?: readonly LineRule[];
  readonly newer?: { readonly since: GitCapability; readonly rules: readonly LineRule[] };
}

const DRIVERS: ReadonlyMap<string, BuiltInDriver> = new Map<string, BuiltInDriver>([
  ['ada', { rules: systems.ADA }],
  ['bash', { rules: scripts.OLD_BASH, newer: { since: 'bashNames', rules: scripts.BASH } }],
  ['bibtex', { rules: scripts.BIBTEX }],
  ['cpp', { rules: systems.CPP }],
  ['csharp', { rules: systems.OLD_CSHARP, newer: { since: 'csharpNames', rules: systems.CSHARP } }],
  ['css', { rules: scripts.CSS }],
  ['default', {}],
  ['dts', { rules: systems.DTS }],
  ['elixir', { rules: scripts.ELIXIR }],
  ['fortran', { rules: systems.FORTRAN }],
  ['fountain', { rules: scripts.FOUNTAIN }],
  ['golang', { rules: systems.GOLANG }],
  ['html', { rules: scripts.HTML }],
  ['ini', { newer: { since: 'iniNames', rules: scripts.INI } }],
  ['java', { rules: systems.OLD_JAVA, newer: { since: 'javaRecords', rules: systems.JAVA } }],
  ['kotlin', { rules: systems.KOTLIN }],
  ['markdown', { rules: scripts.MARKDOWN }],
  ['matlab', { rules: scripts.MATLAB }],
  ['objc', { rules: systems.OBJC }],
  ['pascal', { rules: systems.PASCAL }],
  ['perl', { rules: scripts.PERL }],
  ['php', { rules: scripts.PHP }],
  ['python', { rules: scripts.PYTHON }],
  ['r', { newer: { since: 'rNames', rules: scripts.R } }],
  ['ruby', { rules: scripts.RUBY }],
  ['rust', { rules: systems.RUST }],
  ['scheme', { rules: scripts.OLD_SCHEME, newer: { since: 'lispNames', rules: scripts.SCHEME } }],
  ['tex', { rules: scripts.TEX }],
]);

/**
 * Returns the rules by which a version of git finds names of functions; `undefined` for its default
 * rule.
 *
 * @param driver Value of the attribute `diff`.
 * @throws {FallBackToGit} when git may be too new for this list.
 */
export function rulesOfDriver(
  driver: string,
  capabilities: GitCapabilities,
): readonly LineRule[] | undefined {
  const known = DRIVERS.get(driver);
  if (known === undefined && capabilities.laterDrivers)
    throw new FallBackToGit('git may know how a file is compared');
  return known?.newer !== undefined && capabilities[known.newer.since] ? known.newer.rules : known?.rules;
}
