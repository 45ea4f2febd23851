import type { ConfigPair } from '#git/command/config';
import type { OfferedBundle } from '../bundle/offered-bundle.ts';

/**
 * Returns the settings with which `git upload-pack` offers bundles to clients of protocol v2.
 *
 * @param bundles those that are needed together; none to offer nothing.
 */
export function bundleUriSettings(bundles: readonly OfferedBundle[] = []): ConfigPair[] {
  if (bundles.length === 0) return [advertising(false)];
  return [
    { key: 'bundle.version', value: '1' },
    { key: 'bundle.mode', value: 'all' },
    { key: 'bundle.heuristic', value: 'creationToken' },
    ...bundles.flatMap(({ id, url, token }): ConfigPair[] => [
      // Whoever has the address can download the bundle.
      { key: `bundle.${id}.uri`, value: url, secret: true },
      { key: `bundle.${id}.creationToken`, value: String(token) },
    ]),
    advertising(true),
  ];
}

/** Returns the setting that announces bundles among git's capabilities. */
export function advertisesBundleUri(bundles: readonly OfferedBundle[] = []): ConfigPair {
  return advertising(bundles.length > 0);
}

function advertising(isOffered: boolean): ConfigPair {
  return { key: 'uploadpack.advertiseBundleURIs', value: String(isOffered) };
}
