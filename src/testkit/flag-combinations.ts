import type { CallOptions } from '#client/index';
import type { FeatureFlag } from '#platform/flags/feature-flags';

/** One combination of flags: its name for the names of tests, and the options of calls with it. */
export interface FlagCombination {
  /** `mailmap_options=true,ref_iterator=false`. */
  readonly name: string;
  isEnabled(flag: FeatureFlag | string): boolean;
  /**
   * Options that send the flags. The server fails a call that checks a flag that is not among them,
   * so a test cannot miss one.
   */
  readonly options: Pick<CallOptions, 'featureFlags' | 'metadata'>;
}

/**
 * Returns every combination of the flags' values: 2 for one flag, 4 for two, and so on.
 *
 * @param flags names with underscores, or declarations
 */
export function flagCombinations(...flags: readonly (FeatureFlag | string)[]): FlagCombination[] {
  return Array.from({ length: 2 ** flags.length }, (_, bits) => {
    const values = flags.map((flag, index) => [nameOf(flag), (bits & (1 << index)) !== 0] as const);
    const byName = new Map(values);
    return {
      name: values.map(([name, value]) => `${name}=${value}`).join(','),
      isEnabled: (flag) => byName.get(nameOf(flag)) ?? false,
      options: {
        featureFlags: Object.fromEntries(values),
        metadata: { require_explicit_feature_flag_checks: 'true' },
      },
    };
  });
}

function nameOf(flag: FeatureFlag | string): string {
  return typeof flag === 'string' ? flag : flag.name;
}
